"""An upstream that answers at once, for measuring what stands in front of it.

    python tests/bench/mock_upstream.py --port 9000 [--events 50 --pause-ms 10]

Chat requests get the same 600 bytes, or, if they ask for a stream, events a fixed time apart. Each
event carries the time of the machine's monotonic clock at which it was sent, so that whoever reads
it on the same machine knows how long it was under way.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import time

import uvloop

USAGE = {"prompt_tokens": 250, "completion_tokens": 80, "total_tokens": 330}
PLAIN = json.dumps(
    {
        "id": "chatcmpl-0123456789", "object": "chat.completion", "created": 1790000000,
        "model": "gpt-4o-mini", "system_fingerprint": "fp_0", "usage": USAGE,
        "choices": [
            {"index": 0, "finish_reason": "stop", "logprobs": None,
             "message": {"role": "assistant", "content": "The answer is forty-two. " * 14}}
        ],
    }
).encode()  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-request-id: req_1\r\n%b\r\n\r\n"
PLAIN_ANSWER = HEAD % (b"application/json", b"content-length: %d" % len(PLAIN)) + PLAIN
STREAM_HEAD = HEAD % (b"text/event-stream", b"transfer-encoding: chunked")
STAMP = b'"sent_ns":'


def event(number: int, last: bool) -> bytes:
    """One event of a streamed chat completion, in HTTP's chunked framing."""
    choice = {
        "index": 0,
        "delta": {"content": f" word{number}"},
        "finish_reason": "stop" if last else None,
    }
    said = {
        "id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1790000000,
        "model": "gpt-4o-mini", "choices": [choice],
    }  # fmt: skip
    text = json.dumps(said).encode()[:-1] + b"," + STAMP + b"%020d}" % time.monotonic_ns()
    return _chunk(b"data: " + text + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Mock(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, events: int, pause_seconds: float) -> None:
        self.events = events
        self.pause = pause_seconds
        self.came = bytearray()
        self.body_from = -1
        self.whole = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.came += data
        if self.body_from < 0:
            end = self.came.find(b"\r\n\r\n")
            if end < 0:
                return
            self.body_from = end + 4
            head = bytes(self.came[:end]).lower()
            if b"expect: 100-continue" in head:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.whole = -1
            for line in head.split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self.whole = self.body_from + int(line[15:])
            if self.whole < 0 and b"transfer-encoding: chunked" not in head:
                self.whole = self.body_from
        if self.whole >= 0 and len(self.came) < self.whole:
            return
        if self.whole < 0 and not self.came.endswith(b"0\r\n\r\n"):
            return
        stream = b'"stream":true' in self.came or b'"stream": true' in self.came
        self.came.clear()
        self.body_from = -1
        if stream:
            self.transport.write(STREAM_HEAD)
            self.send_event(0)
        else:
            self.transport.write(PLAIN_ANSWER)

    def send_event(self, number: int) -> None:
        if self.transport.is_closing():
            return
        last = number == self.events - 1
        self.transport.write(event(number, last))
        if last:
            self.transport.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        else:
            asyncio.get_running_loop().call_later(self.pause, self.send_event, number + 1)


async def serve(port: int, events: int, pause_seconds: float) -> None:
    make = functools.partial(Mock, events, pause_seconds)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, backlog=2048)
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--port", type=int, default=9000)
    ask.add_argument("--events", type=int, default=50)
    ask.add_argument("--pause-ms", type=float, default=10.0)
    said = ask.parse_args()
    uvloop.run(serve(said.port, said.events, said.pause_ms / 1000))


if __name__ == "__main__":
    main()
