"""Servers of models on real sockets: completions that tell their prompt, embeddings, rerank."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]
"""(path, body) -> status and body of the answer."""


class FakeModels:
    """Answers as it is told to, and remembers what was asked."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.credentials: list[str | None] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.asked.append((self.path, body))
                fake.credentials.append(self.headers.get("authorization"))
                status, said = answer(self.path, body)
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeModels:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def embed(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Vectors that count letters, in the shape of OpenAI, not in the order of the texts."""
    rows = [
        {
            "object": "embedding",
            "index": i,
            "embedding": [float(text.casefold().count(letter)) for letter in "aeinost"] + [0.01],
        }
        for i, text in enumerate(body["input"])
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return 200, {"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage}


def rerank(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Documents by how many words they share with the query, best first, as Cohere answers."""
    asked = set(body["query"].casefold().split())
    rows = [
        {"index": i, "relevance_score": len(asked & set(text.casefold().split())) / 10}
        for i, text in enumerate(body["documents"])
    ]
    rows.sort(key=lambda row: -row["relevance_score"])
    return 200, {"id": "1", "results": rows[: body["top_n"]], "meta": {}}
