"""Sends chat requests over loopback, by the clock or as fast as they are answered.

    python tests/bench/load.py --port 8790 --rate 300 --seconds 10 --bytes 1000 [--stream]
    python tests/bench/load.py --port 8790 --connections 32 --seconds 10

With a rate the loop is open: a request is sent when its time has come, whether or not earlier ones
have been answered, and its latency counts from the time at which it was due (so that a server that
stalls cannot hide behind the requests that were not sent meanwhile). Prints one JSON object;
times in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import select
import socket
import time
from dataclasses import dataclass, field

STAMP = re.compile(rb'"sent_ns":\s*(\d+)')
WORDS = ["harbour", "master", "wrote", "the", "tides", "of", "every", "month", "into", "a", "book"]
MOST_CONNECTIONS = 900
"""select() knows file numbers below 1024 only. It is used because its time-out is exact to the
microsecond, where epoll's is rounded up to a whole millisecond."""


def body(size: int, stream: bool) -> bytes:
    """A chat request of about so many bytes, of words that never repeat in the same order."""
    rng = random.Random(size)
    text = []
    length = 0
    while length < size - 120:
        word = rng.choice(WORDS)
        text.append(word)
        length += len(word) + 1
    said = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": " ".join(text)}],
        "stream": stream,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def request(host: str, path: str, size: int, stream: bool) -> bytes:
    content = body(size, stream)
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer sk-test\r\n"
        "Content-Type: application/json\r\nAccept: application/json\r\n"
        "Accept-Encoding: gzip, deflate\r\nUser-Agent: OpenAI/Python 2.54.0\r\n"
        f"X-Stainless-Lang: python\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content


@dataclass(slots=True)
class Conn:
    """A connection, and the request that is under way on it."""

    sock: socket.socket
    due: float = 0.0
    out: memoryview = field(default_factory=lambda: memoryview(b""))
    came: bytearray = field(default_factory=bytearray)
    head_end: int = -1
    whole: int = -1
    """Bytes of the whole answer; -1: it is chunked."""
    first: float = 0.0
    last: float = 0.0
    scanned: int = 0


class Load:
    def __init__(self, port: int, sent: bytes) -> None:
        self.port = port
        self.sent = sent
        self.idle: list[Conn] = []
        self.busy: dict[socket.socket, Conn] = {}
        self.writing: set[socket.socket] = set()
        self.took: list[float] = []
        self.first: list[float] = []
        self.gaps: list[float] = []
        self.delays: list[float] = []
        self.failed = 0
        self.opened = 0

    def start(self, due: float) -> None:
        conn = self.idle.pop() if self.idle else self._connect()
        if conn is None:
            self.failed += 1
            return
        conn.due, conn.head_end, conn.whole, conn.scanned = due, -1, -1, 0
        conn.first = conn.last = 0.0
        conn.came.clear()
        conn.out = memoryview(self.sent)
        self.busy[conn.sock] = conn
        self._write(conn)

    def poll(self, seconds: float) -> None:
        """Waits so long for whatever happens on the connections."""
        if not self.busy:
            time.sleep(max(0.0, seconds))
            return
        ready, writable, _ = select.select(list(self.busy), list(self.writing), [], max(0, seconds))
        for sock in writable:
            self._write(self.busy[sock])
        for sock in ready:
            if sock in self.busy:
                self._read(self.busy[sock])

    def _connect(self) -> Conn | None:
        if len(self.busy) >= MOST_CONNECTIONS:
            return None
        try:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.opened += 1
        return Conn(sock)

    def _write(self, conn: Conn) -> None:
        try:
            count = conn.sock.send(conn.out)
        except BlockingIOError:
            count = 0
        except OSError:
            return self._drop(conn)
        conn.out = conn.out[count:]
        if conn.out:
            self.writing.add(conn.sock)
        else:
            self.writing.discard(conn.sock)

    def _read(self, conn: Conn) -> None:
        try:
            piece = conn.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        now = time.monotonic()
        if not piece:
            return self._drop(conn)
        conn.came += piece
        if conn.head_end < 0 and not self._head(conn):
            return
        self._events(conn, now)
        sized = conn.whole >= 0
        if len(conn.came) >= conn.whole if sized else conn.came.endswith(b"0\r\n\r\n"):
            self.took.append(now - conn.due)
            if conn.first:
                self.first.append(conn.first - conn.due)
            del self.busy[conn.sock]
            self.idle.append(conn)

    def _head(self, conn: Conn) -> bool:
        end = conn.came.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(conn.came[:end]).lower()
        conn.head_end = conn.scanned = end + 4
        if b" 200 " not in head[:20]:
            self.failed += 1
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                conn.whole = conn.head_end + int(line[15:])
        return True

    def _events(self, conn: Conn, now: float) -> None:
        for found in STAMP.finditer(conn.came, conn.scanned):
            conn.scanned = found.end()
            self.delays.append(now - int(found[1]) / 1e9)
            if conn.last:
                self.gaps.append(now - conn.last)
            else:
                conn.first = now
            conn.last = now

    def _drop(self, conn: Conn) -> None:
        self.failed += 1
        self.busy.pop(conn.sock, None)
        self.writing.discard(conn.sock)
        conn.sock.close()

    def report(self, seconds: float) -> dict[str, object]:
        said: dict[str, object] = {
            "requests": len(self.took),
            "failed": self.failed,
            "connections": self.opened,
            "per_second": round(len(self.took) / seconds, 1),
        }
        kinds = ("took", self.took), ("first", self.first), ("gap", self.gaps)
        for name, times in (*kinds, ("delay", self.delays)):
            if times:
                said[name] = percentiles(times)
        return said


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)] * 1000, 3) for name, share in at.items()}


def by_the_clock(load: Load, rate: float, seconds: float) -> None:
    """Requests at random times (a Poisson process), the same ones for every run."""
    rng = random.Random(1)
    start = due = time.monotonic() + 0.05
    while True:
        now = time.monotonic()
        while due <= now and due < start + seconds:
            load.start(due)
            due += rng.expovariate(rate)
        if due >= start + seconds and (not load.busy or now > start + seconds + 10):
            break
        load.poll(min(due - time.monotonic(), 0.05) if due < start + seconds else 0.05)
    load.failed += len(load.busy)


def as_fast_as_answered(load: Load, connections: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        failed = load.failed
        while len(load.busy) < connections and load.failed == failed:
            load.start(now)
            now = time.monotonic()
        load.poll(0.05)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--port", type=int, required=True)
    ask.add_argument("--path", default="/v1/chat/completions")
    ask.add_argument("--rate", type=float, default=0, help="requests/s; 0: closed loop")
    ask.add_argument("--connections", type=int, default=32, help="of the closed loop")
    ask.add_argument("--seconds", type=float, default=5)
    ask.add_argument("--bytes", type=int, default=1000)
    ask.add_argument("--stream", action="store_true")
    said = ask.parse_args()
    sent = request(f"127.0.0.1:{said.port}", said.path, said.bytes, said.stream)
    load = Load(said.port, sent)
    start = time.monotonic()
    if said.rate:
        by_the_clock(load, said.rate, said.seconds)
    else:
        as_fast_as_answered(load, said.connections, said.seconds)
    print(json.dumps(load.report(time.monotonic() - start)))


if __name__ == "__main__":
    main()
