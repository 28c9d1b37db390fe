"""Puts the proxy together from a configuration and runs it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

import platformdirs

from unabridged.compression.body import read
from unabridged.compression.compress import compress, models_of, run_job
from unabridged.compression.encoder import Encoder
from unabridged.compression.join import render
from unabridged.compression.plan import allot
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.compression.split import split
from unabridged.compression.tokens import UnknownTokenizer, counter, known_words
from unabridged.policies.choose import Choice
from unabridged.policies.config import Config
from unabridged.policies.config import Upstream as UpstreamSettings
from unabridged.policies.policy import Policy
from unabridged.proxy.abridger import Abridger
from unabridged.proxy.admin import Admin
from unabridged.proxy.app import App
from unabridged.proxy.cache import Breaker, RedisCache, StoreDown
from unabridged.proxy.callers import Callers
from unabridged.proxy.classifiers import Classifiers
from unabridged.proxy.comparison import Asker
from unabridged.proxy.destination import Destination
from unabridged.proxy.encoders import Encoders
from unabridged.proxy.exchange import Exchange
from unabridged.proxy.fallback import Fleet, Health
from unabridged.proxy.installed import load_classifier
from unabridged.proxy.kept_text import KeptTexts
from unabridged.proxy.keys import load_keys
from unabridged.proxy.litellm_upstream import LitellmUpstream
from unabridged.proxy.live import Live
from unabridged.proxy.loading import Seam
from unabridged.proxy.metrics import Metrics
from unabridged.proxy.metrics_answer import MetricsAnswer
from unabridged.proxy.originals import Originals
from unabridged.proxy.page import Page
from unabridged.proxy.page_access import PageAccess
from unabridged.proxy.page_trials import PageTrials
from unabridged.proxy.page_views import PageViews
from unabridged.proxy.playground import Models, Playground
from unabridged.proxy.receipt import JsonLines, Receipts
from unabridged.proxy.receipt_book import ReceiptBook
from unabridged.proxy.rerankers import Rerankers
from unabridged.proxy.restore import Restorer
from unabridged.proxy.scorers import Scorers
from unabridged.proxy.server import Server
from unabridged.proxy.shelf import Shelves
from unabridged.proxy.sidecar import Sidecar
from unabridged.proxy.steps import StepFailed, Steps
from unabridged.proxy.store import (
    RECEIPTS,
    RECEIPTS_KEPT,
    EmbeddedStore,
    server_secret,
    store_url,
)
from unabridged.proxy.store_client import connect
from unabridged.proxy.tracing import open_tracing
from unabridged.proxy.treasury import open_records, open_treasury
from unabridged.proxy.upstream import HttpUpstream
from unabridged.proxy.weights import default_home
from unabridged.proxy.workers import Workers
from unabridged.recovery.answer import restore_answer
from unabridged.recovery.index import Index
from unabridged.recovery.streams import stream_restorer

KINDS: dict[str, Callable[[str, UpstreamSettings, str | None], HttpUpstream | LitellmUpstream]] = {
    "openai": lambda name, settings, _: HttpUpstream(name, settings),
    "litellm": LitellmUpstream,
}
"""What makes an upstream of each kind."""


class NotServable(Exception):
    """The configuration is valid, but must or can not be served; the text says what to change."""


def state_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the proxy keeps its state: $UNABRIDGED_HOME, or the user's state directory."""
    home = environment.get("UNABRIDGED_HOME")
    return Path(home) if home else platformdirs.user_state_path("unabridged")


def the_steps() -> Steps:
    """The real ones."""
    return Steps(
        read=read,
        split=split,
        allot=allot,
        compress=compress,
        render=render,
        index=partial(Index.build, known=known_words()),
        restore_answer=restore_answer,
        stream_restorer=stream_restorer,
    )


def run(
    config: Config,
    *,
    state_dir: Path,
    on_ready: Callable[[str], None] | None = None,
    reread: Callable[[], Config] | None = None,
    file: Path | None = None,
) -> None:
    """Serves until a signal says stop; then lets running answers finish for
    `server.grace_seconds`. `on_ready` gets the base URL for clients as soon as it is open;
    `reread` gives the configuration anew when `file` changes, and at SIGHUP.

    Raises NotServable, BadKeyFile, BadSecret and StoreNotStarted.
    """
    app = assemble(config, state_dir=state_dir)
    # What the server says of itself is a line of JSON too.
    logging.getLogger("uvicorn").handlers = [_handler(None)]
    live = Live(app, reread=reread or (lambda: config), file=file, say=_logger(None).warning)
    server = Server(live, on_ready)
    try:
        listening = server.config.bind_socket()
    except SystemExit as error:
        app.stop()
        raise NotServable(
            f"nothing can listen at {config.server.host}:{config.server.port}; the log line above"
            " says why (server.host and server.port in the configuration, or --host and --port)"
        ) from error
    server.run(sockets=[listening])


def assemble(
    config: Config,
    *,
    state_dir: Path,
    steps: Steps | None = None,
    environment: Mapping[str, str] = os.environ,
    models: Path | None = None,
    output: TextIO | None = None,
    scorers: Scorers | None = None,
    encoders: Encoders | None = None,
    classifiers: Classifiers | None = None,
) -> App:
    """The application, with nothing started yet but the embedded store (if no other store is
    configured) and the loading of models.

    `steps` replaces the real ones, `models` is the model cache, `output` takes the log lines
    instead of stderr. Raises NotServable, BadKeyFile, BadSecret and StoreNotStarted.
    """
    keys = load_keys(Path(config.server.keys_file)) if config.server.keys_file else None
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = server_secret(state_dir, environment)
    records = open_records(config, state_dir=state_dir, environment=environment, secret=secret)
    callers = Callers(keys, records.ring)
    if callers.open and not _is_loopback(config.server.host):
        raise NotServable(
            f"server.host {config.server.host!r} can be reached from other machines, and there"
            " are no keys: make one with `unabridged keys create`, set server.keys_file, or use"
            " 127.0.0.1"
        )
    fleet = _fleet(config, environment, callers)
    log = _logger(output)
    store = _open_store(config, state_dir, environment)
    steps = steps or the_steps()
    device = config.server.device
    scorers = scorers or Scorers(models or default_home(), partial(_load_scorer, device))
    encoders = encoders or Encoders(models or default_home(), partial(_load_encoder, device))
    classifiers = classifiers or Classifiers(
        models or default_home(), partial(load_classifier, home=models)
    )
    rerankers = Rerankers(models or default_home(), partial(_load_reranker, device))

    seams: dict[str, Seam] = {
        "scorer": scorers,
        "encoder": encoders,
        "classifier": classifiers,
        "reranker": rerankers,
    }

    def weights(compressor: str, policy: Policy) -> str:
        used = sorted(models_of(compressor, policy))
        return " ".join(seams[seam].revision(policy) for seam in used)

    server = config.server
    shelves = Shelves(store.cache, secret, most_bytes=config.store.cache_mb * 2**20)
    reading = Workers(threads=1, queue=256, name="read")
    compressing = Workers(threads=server.workers, queue=server.queue)
    metrics, tracing = Metrics(), open_tracing(environment)
    book = ReceiptBook(
        engine=records.engine,
        texts=KeptTexts(cache=store.cache, secret=secret),
        days=server.receipt_days,
    )
    receipts = Receipts(share=store.share, output=output, takers=(book.write, metrics.take))
    treasury = open_treasury(
        config,
        records,
        state_dir=state_dir,
        store_url=store.url,
        revive=store.revive,
        reading=reading,
        counter=counter,
        on_trouble=log.warning,
    )
    leaving = threading.Event()
    exchange = Exchange(
        config=config,
        upstreams=fleet,
        reading=reading,
        abridge=Abridger(
            steps=steps,
            workers=compressing,
            shelf=shelves.of,
            counter=counter,
            scorer=scorers.of,
            encoder=encoders.of,
            classifier=classifiers.of,
            reranker=rerankers.of,
            scorer_name=weights,
            run=run_job,
            price=treasury.spendings.till.prices.get,
        ),
        restore=Restorer(steps=steps, workers=reading),
        receipts=receipts,
        money=treasury.spendings,
        tracing=tracing,
    )
    admin_key = environment.get(config.money.admin_key_env) or None
    admin = Admin(
        ring=records.ring,
        till=treasury.spendings.till,
        key=admin_key,
        policies=frozenset(config.policies),
    )
    views = PageViews(engine=records.engine, book=book, till=treasury.spendings.till)
    playground = Playground(
        models=Models(
            scorer=scorers.of,
            encoder=encoders.of,
            classifier=classifiers.of,
            reranker=rerankers.of,
        ),
        counter=counter,
        prices=treasury.spendings.till.prices,
    )
    gate = PageAccess(callers=callers, admin_key=admin_key, secret=secret, cache=store.cache)

    def page_of(exchange: Exchange, admin: Admin) -> Page:
        """The page of what is served at the time."""
        asker = Asker(
            config=exchange.config,
            upstreams=exchange.upstreams,
            money=exchange.money,
            playground=playground,
        )
        trials = PageTrials(config=exchange.config, book=book, playground=playground, asker=asker)
        return Page(gate=gate, calls={**views.calls(), **trials.calls(), **admin.calls()})

    fleets = [fleet]
    warming: list[str] = []

    def load(config: Config) -> None:
        """Begins to load the models of the policies that are used."""
        for choice in _choices(config):
            for seam in models_of(choice.policy.compressor, choice.policy):
                seams[seam].begin(choice.policy)

    def renew(app: App, config: Config) -> App:
        newer = _fleet(config, environment, callers, app.exchange.upstreams)
        fleets.append(newer)
        load(config)
        money = replace(app.exchange.money, config=config)
        renewed = replace(app.exchange, config=config, upstreams=newer, money=money)
        sidecar = replace(app.sidecar, config=lambda: config)
        following = replace(app.admin, policies=frozenset(config.policies))
        return replace(
            app,
            config=config,
            exchange=renewed,
            sidecar=sidecar,
            admin=following,
            page=page_of(renewed, following),
        )

    def warm() -> None:
        for tokenizer in {each.tokenizer for each in config.upstreams.values()}:
            with contextlib.suppress(UnknownTokenizer):
                # A quarter of a second in which nothing else runs, even for what passes through:
                # a stream whose usage is not told is counted at its end.
                counter("", tokenizer)
        for choice in _choices(config):
            with contextlib.suppress(StepFailed):
                exchange.abridge.warm(choice)
        warming.clear()

    def stop() -> None:
        compressing.close()
        playground.workers.close()
        reading.close()
        receipts.close()
        if tracing is not None:
            tracing.stop()
        shelves.close()
        store.stop()

    @contextlib.asynccontextmanager
    async def running() -> AsyncIterator[None]:
        warming.append("warming up")
        threading.Thread(target=warm, name="unabridged-warm", daemon=True).start()
        load(config)
        try:
            async with treasury.running():
                yield
        finally:
            for each in fleets:
                await each.close()
            stop()

    return App(
        config=config,
        exchange=exchange,
        callers=callers,
        sidecar=Sidecar(
            config=lambda: config,
            abridge=exchange.abridge,
            originals=Originals(),
            receipts=receipts,
        ),
        admin=admin,
        page=page_of(exchange, admin),
        metrics=MetricsAnswer(
            metrics=metrics,
            levels=views.levels,
            keys=tuple(key for key in (admin_key, environment.get(server.metrics_key_env)) if key),
            open=lambda: callers.open,
        ),
        leave=views.closing.set,
        unready=lambda: [
            *(["shutting down"] if leaving.is_set() else []),
            *warming,
            *(
                f"loading {seam} {source}"
                for seam, known in seams.items()
                for source in known.loading
            ),
        ],
        running=running,
        stop=stop,
        failed=lambda error: log.error("internal error", exc_info=error),
        renew=renew,
        retire=leaving.set,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Store:
    cache: RedisCache
    share: Callable[[list[str]], None]
    stop: Callable[[], None]
    url: str
    revive: Callable[[], None]


def _open_store(config: Config, state_dir: Path, environment: Mapping[str, str]) -> _Store:
    url = store_url(config.store, environment)
    embedded = None if url else EmbeddedStore(state_dir)
    if embedded is not None:
        embedded.start()
    revive = embedded.revive if embedded else lambda: None
    breaker = Breaker(on_rest=revive)
    target = url or (embedded.url if embedded else "")
    cache = RedisCache(connect(target, timeout_ms=config.store.timeout_ms), breaker)

    def share(lines: list[str]) -> None:
        with contextlib.suppress(StoreDown):
            cache.push(RECEIPTS, lines, most=RECEIPTS_KEPT)

    return _Store(
        cache=cache,
        share=share,
        stop=embedded.stop if embedded else lambda: None,
        url=target,
        revive=revive,
    )


# torch takes seconds to import, and only whoever needs a model needs it.
def _load_scorer(device: str, place: Path) -> Scorer:
    from unabridged.compression.causal_lm import CausalScorer

    return CausalScorer(place, device=device)


def _load_encoder(device: str, place: Path) -> Encoder:
    from unabridged.compression.sentence_encoder import SentenceEncoder

    return SentenceEncoder(place, device=device)


def _load_reranker(device: str, place: Path) -> Reranker:
    from unabridged.compression.cross_encoder import CrossEncoder

    return CrossEncoder(place, device=device)


def _choices(config: Config) -> list[Choice]:
    """What the routes choose, each once, but for those that pass everything through."""
    found = {
        (route.policy, route.upstream): Choice(
            route=route.name,
            policy_name=route.policy,
            policy=config.policies[route.policy],
            upstream_name=route.upstream,
            upstream=config.upstreams[route.upstream],
            why="",
        )
        for route in config.routes
    }
    return [choice for choice in found.values() if choice.policy.compressor != "off"]


def _fleet(
    config: Config, environment: Mapping[str, str], callers: Callers, old: Fleet | None = None
) -> Fleet:
    """The upstreams of a configuration; those of an `old` one that are as they were go on with
    the connections that they have. Raises NotServable."""
    members: dict[str, Destination] = {}
    for name, settings in config.upstreams.items():
        key = _bearer(name, config, environment)
        before = old.members.get(name) if old else None
        if before is not None and before.upstream.settings == settings and before.key == key:
            members[name] = before
            continue
        upstream = KINDS[settings.kind](name, settings, key)
        members[name] = Destination(
            name=name,
            upstream=upstream,
            host=upstream.host,
            key=key,
            key_header=settings.api_key_header.encode(),
            own_keys=lambda: not callers.open,
        )
    return Fleet(members=members, health=Health(settings=config.upstreams))


def _bearer(name: str, config: Config, environment: Mapping[str, str]) -> str | None:
    variable = config.upstreams[name].api_key_env
    if variable is None:
        return None
    if not environment.get(variable):
        raise NotServable(
            f"the environment variable {variable} is not set, which"
            f" upstreams.{name}.api_key_env names"
        )
    return environment[variable]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _logger(output: TextIO | None) -> logging.Logger:
    logger = logging.Logger("unabridged.proxy", logging.INFO)
    logger.addHandler(_handler(output))
    return logger


def _handler(output: TextIO | None) -> logging.Handler:
    handler = logging.StreamHandler(output or sys.stderr)
    handler.setFormatter(JsonLines())
    return handler
