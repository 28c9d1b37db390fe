"""What standing in between costs, of this proxy and of others, on the same machine.

    python tests/bench/overhead.py [--litellm VENV] [--headroom VENV] [--nginx] [--only NAME,...]

One upstream that answers at once (mock_upstream.py), one load generator in a process of its own
(load.py), one proxy at a time, each a single process. For every kind of request the load goes to
the upstream directly and through the proxy in turn, in blocks of seconds, so that whatever else the
machine does hits both. `added` is the difference of the two. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
UPSTREAM = 9310
PORT = 9311
READY_SECONDS = 90
NGINX = """\
daemon off; user root; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log {place}/access.log; client_max_body_size 64m; client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u;
  scgi_temp_path {place}/s;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
LITELLM = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      {{model: openai/gpt-4o-mini, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-test}}
general_settings: {{master_key: sk-test}}
"""
OURS = """\
upstreams: {{default: {{url: "http://127.0.0.1:{upstream}/v1"}}}}
routes: [{{policy: "off"}}]
server: {{port: {port}}}
"""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of request."""

    name: str
    bytes: int
    rate: float
    seconds: float
    stream: bool = False


KINDS = [
    Kind(name="1 kB, 30/s", bytes=1000, rate=30, seconds=4),
    Kind(name="1 kB, 300/s", bytes=1000, rate=300, seconds=4),
    Kind(name="50 kB, 100/s", bytes=50_000, rate=100, seconds=3),
    Kind(name="1 MB, 10/s", bytes=1_000_000, rate=10, seconds=3),
    Kind(name="stream, 20/s", bytes=1000, rate=20, seconds=3, stream=True),
]
Command = tuple[list[str], dict[str, str]]


def written(place: Path, name: str, text: str) -> str:
    path = place / name
    path.write_text(text.format(place=place, port=PORT, upstream=UPSTREAM))
    return str(path)


def ours(place: Path, said: argparse.Namespace) -> Command:
    config = written(place, "ours.yaml", OURS)
    command = [sys.executable, "-m", "unabridged", "serve", "--config", config]
    return command, {"UNABRIDGED_HOME": str(place / "state"), "REDIS_URL": ""}


def nginx(place: Path, said: argparse.Namespace) -> Command:
    return ["nginx", "-p", str(place), "-c", written(place, "nginx.conf", NGINX)], {}


def litellm(place: Path, said: argparse.Namespace) -> Command:
    config = written(place, "litellm.yaml", LITELLM)
    command = [
        f"{said.litellm}/bin/litellm", "--config", config, "--host", "127.0.0.1",
        "--port", str(PORT), "--num_workers", "1", "--telemetry", "False",
    ]  # fmt: skip
    return command, {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }  # fmt: skip


def headroom(place: Path, said: argparse.Namespace) -> Command:
    """In its pass-through mode, as ours is."""
    command = [
        f"{said.headroom}/bin/headroom", "proxy", "--port", str(PORT), "--no-optimize",
        "--no-cache", "--no-rate-limit", "--no-http2",
        "--openai-api-url", f"http://127.0.0.1:{UPSTREAM}",
    ]  # fmt: skip
    return command, {"HEADROOM_OFFLINE": "1", "HOME": str(place)}


TARGETS: dict[str, Callable[[Path, argparse.Namespace], Command]] = {
    "nginx": nginx,
    "unabridged": ours,
    "litellm": litellm,
    "headroom": headroom,
}


def load(port: int, **given: Any) -> dict[str, Any]:
    flags = []
    for name, value in given.items():
        flags += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), "--port", str(port), *flags],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def check_free(port: int) -> None:
    """What somebody else left running there would be measured in the other's place."""
    with socket.socket() as sock:
        if sock.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"something listens on {port} already; end it first")


def await_port(port: int, process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {port}")


def stop(process: subprocess.Popen[Any]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def cpu_seconds(group: int) -> float:
    """CPU time of all processes of a group, since they began."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def measured(name: str, said: argparse.Namespace) -> dict[str, Any]:
    """Everything about one proxy."""
    with tempfile.TemporaryDirectory() as directory:
        command, given = TARGETS[name](Path(directory), said)
        check_free(PORT)
        with (Path(directory) / "log").open("wb") as log:
            running = subprocess.Popen(
                command, env={**os.environ, **given}, stdout=log, stderr=log, start_new_session=True
            )
        try:
            await_port(PORT, running)
            for _ in range(20):  # whatever is made at the first request
                if not load(PORT, rate=10, seconds=0.5)["failed"]:
                    break
                time.sleep(1)
            found: dict[str, Any] = {"kinds": {}}
            for kind in KINDS:
                flags = {"rate": kind.rate, "bytes": kind.bytes, "seconds": kind.seconds}
                flags |= {"stream": True} if kind.stream else {}
                pairs = [(load(UPSTREAM, **flags), load(PORT, **flags)) for _ in range(said.rounds)]
                found["kinds"][kind.name] = pairs
            before = cpu_seconds(running.pid)
            full = load(PORT, connections=32, seconds=5)
            found["per_second"] = full["per_second"]
            found["cpu_ms"] = 1000 * (cpu_seconds(running.pid) - before) / max(1, full["requests"])
            return found
        finally:
            stop(running)


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def line(name: str, kind: Kind, pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    def of(side: int, what: str, at: str) -> float:
        return middle([pair[side].get(what, {}).get(at, float("nan")) for pair in pairs])

    failed = sum(pair[1]["failed"] for pair in pairs)
    whats = ("first", "delay", "gap") if kind.stream else ("took",)
    cells = []
    for what in whats:
        for at in ("p50", "p99"):
            direct, through = of(0, what, at), of(1, what, at)
            cells.append(f"{direct:.2f} / {through:.2f} (+{through - direct:.2f})")
    return f"| {kind.name} | {name} | " + " | ".join(cells) + f" | {failed} |"


def report(found: dict[str, dict[str, Any]]) -> None:
    print("\nMilliseconds: direct / through (added)\n")
    print("| requests | proxy | median | p99 | failed |\n|---|---|---|---|---|")
    for kind in KINDS:
        if not kind.stream:
            for name, each in found.items():
                print(line(name, kind, each["kinds"][kind.name]))
    heads = ("first event", "delay of an event", "gap between events")
    cells = " | ".join(f"{head}, median | p99" for head in heads)
    print(f"\n| requests | proxy | {cells} | failed |\n|{'---|' * 9}")
    for kind in KINDS:
        if kind.stream:
            for name, each in found.items():
                print(line(name, kind, each["kinds"][kind.name]))
    print("\n| proxy | requests/s at most (32 connections) | CPU ms a request |\n|---|---|---|")
    for name, each in found.items():
        print(f"| {name} | {each['per_second']:.0f} | {each['cpu_ms']:.2f} |")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--litellm", help="a venv with litellm[proxy]")
    ask.add_argument("--headroom", help="a venv with headroom-ai[proxy]")
    ask.add_argument("--nginx", action="store_true", help="measure nginx too")
    ask.add_argument("--only", default="", help="names, instead of all that can be had")
    ask.add_argument("--rounds", type=int, default=1, help="pairs of each kind")
    ask.add_argument("--json", help="file for all that was measured")
    said = ask.parse_args()
    names = [n for n in TARGETS if n == "unabridged" or getattr(said, n)]
    names = said.only.split(",") if said.only else names
    check_free(UPSTREAM)
    mock = subprocess.Popen(
        [sys.executable, str(HERE / "mock_upstream.py"), "--port", str(UPSTREAM)],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    try:
        await_port(UPSTREAM, mock)
        for name in names:
            start = os.getloadavg()[0]
            found[name] = measured(name, said)
            print(f"{name}: measured at a load of {start:.1f}", file=sys.stderr, flush=True)
    finally:
        stop(mock)
    report(found)
    if said.json:
        Path(said.json).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
