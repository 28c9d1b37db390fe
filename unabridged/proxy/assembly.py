"""The parts of a running proxy, and the application that they make up by a configuration."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from unabridged.compression.compress import run_job
from unabridged.compression.tokens import UnknownTokenizer, counter
from unabridged.policies.choose import Choice
from unabridged.policies.config import Config
from unabridged.proxy.abridger import Abridger
from unabridged.proxy.admin import Admin
from unabridged.proxy.app import App
from unabridged.proxy.callers import Callers
from unabridged.proxy.comparison import Asker
from unabridged.proxy.destination import destinations
from unabridged.proxy.exchange import Exchange
from unabridged.proxy.fallback import Fleet, Health
from unabridged.proxy.metrics import Metrics
from unabridged.proxy.metrics_answer import MetricsAnswer
from unabridged.proxy.originals import Originals
from unabridged.proxy.page import Page
from unabridged.proxy.page_access import PageAccess
from unabridged.proxy.page_trials import PageTrials
from unabridged.proxy.page_views import PageViews
from unabridged.proxy.playground import Playground
from unabridged.proxy.receipt import Receipts
from unabridged.proxy.receipt_book import ReceiptBook
from unabridged.proxy.restore import Restorer
from unabridged.proxy.seams import Seams
from unabridged.proxy.shelf import Shelves
from unabridged.proxy.sidecar import Sidecar
from unabridged.proxy.steps import StepFailed, Steps
from unabridged.proxy.store import ServedStore
from unabridged.proxy.tracing import Tracing
from unabridged.proxy.treasury import Treasury
from unabridged.proxy.workers import Workers


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """What is opened once in the life of a proxy, and goes on when its configuration changes."""

    config: Config
    """The one that it starts with."""
    environment: Mapping[str, str]
    secret: bytes
    steps: Steps
    callers: Callers
    store: ServedStore
    seams: Seams
    shelves: Shelves
    reading: Workers
    compressing: Workers
    book: ReceiptBook
    receipts: Receipts
    metrics: Metrics
    tracing: Tracing | None
    treasury: Treasury
    log: logging.Logger
    originals: Originals = field(default_factory=Originals)
    fleets: list[Fleet] = field(default_factory=list)
    """Those of all configurations so far: requests to the earlier ones may be under way."""
    warming: threading.Event = field(default_factory=threading.Event)
    leaving: threading.Event = field(default_factory=threading.Event)

    def app(self, config: Config) -> App:
        """The application by a configuration, the first or a later one. Raises NotServable."""
        exchange = self._exchange(config)
        admin = Admin(
            ring=self.treasury.ring,
            till=self.treasury.spendings.till,
            key=self._admin_key,
            policies=frozenset(config.policies),
        )
        return App(
            config=config,
            exchange=exchange,
            callers=self.callers,
            sidecar=Sidecar(
                config=config,
                abridge=exchange.abridge,
                originals=self.originals,
                receipts=self.receipts,
            ),
            admin=admin,
            page=self._page(exchange, admin),
            metrics=self._metrics,
            unready=self.unready,
            running=self.running,
            renew=self.renew,
            retire=self.leaving.set,
            leave=self._views.closing.set,
            stop=self.stop,
            failed=lambda error: self.log.error("internal error", exc_info=error),
        )

    def renew(self, config: Config) -> App:
        """The application that takes the place of the one before. Raises NotServable."""
        app = self.app(config)
        self._load(config)
        return app

    def unready(self) -> list[str]:
        """What is not ready yet, in words."""
        return [
            *(["shutting down"] if self.leaving.is_set() else []),
            *(["warming up"] if self.warming.is_set() else []),
            *(f"loading {model}" for model in self.seams.loading),
        ]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads models and does what goes on beside the requests; stops all at the end."""
        self.warming.set()
        threading.Thread(target=self._warm, name="unabridged-warm", daemon=True).start()
        self._load(self.config)
        try:
            async with self.treasury.running():
                yield
        finally:
            for fleet in self.fleets:
                await fleet.close()
            self.stop()

    def stop(self) -> None:
        """Ends threads and store."""
        self.compressing.close()
        self._playground.workers.close()
        self.reading.close()
        self.receipts.close()
        if self.tracing is not None:
            self.tracing.stop()
        self.shelves.close()
        self.store.stop()

    def _exchange(self, config: Config) -> Exchange:
        before = self.fleets[-1].members if self.fleets else {}
        members = destinations(config, self.environment, lambda: not self.callers.open, before)
        self.fleets.append(Fleet(members=members, health=Health(settings=config.upstreams)))
        return Exchange(
            config=config,
            upstreams=self.fleets[-1],
            reading=self.reading,
            abridge=self._abridge,
            restore=Restorer(steps=self.steps, workers=self.reading),
            receipts=self.receipts,
            money=replace(self.treasury.spendings, config=config),
            tracing=self.tracing,
        )

    def _page(self, exchange: Exchange, admin: Admin) -> Page:
        playground = self._playground
        asker = Asker(
            config=exchange.config,
            upstreams=exchange.upstreams,
            money=exchange.money,
            playground=playground,
        )
        trials = PageTrials(
            config=exchange.config, book=self.book, playground=playground, asker=asker
        )
        calls = {**self._views.calls(), **trials.calls(), **admin.calls()}
        return Page(gate=self._gate, calls=calls)

    def _load(self, config: Config) -> None:
        """Begins to load the models of the policies that are used."""
        for choice in _choices(config):
            self.seams.begin(choice.policy)

    def _warm(self) -> None:
        for tokenizer in {each.tokenizer for each in self.config.upstreams.values()}:
            with contextlib.suppress(UnknownTokenizer):
                # A quarter of a second in which nothing else runs, even for what passes through:
                # a stream whose usage is not told is counted at its end.
                counter("", tokenizer)
        for choice in _choices(self.config):
            with contextlib.suppress(StepFailed):
                self._abridge.warm(choice)
        self.warming.clear()

    @cached_property
    def _admin_key(self) -> str | None:
        return self.environment.get(self.config.money.admin_key_env) or None

    @cached_property
    def _abridge(self) -> Abridger:
        return Abridger(
            steps=self.steps,
            workers=self.compressing,
            shelf=self.shelves.of,
            counter=counter,
            models=self.seams.models,
            revision=self.seams.revision,
            run=run_job,
            price=self.treasury.spendings.till.prices.get,
        )

    @cached_property
    def _playground(self) -> Playground:
        prices = self.treasury.spendings.till.prices
        return Playground(models=self.seams.models, counter=counter, prices=prices)

    @cached_property
    def _views(self) -> PageViews:
        till = self.treasury.spendings.till
        return PageViews(engine=self.treasury.engine, book=self.book, till=till)

    @cached_property
    def _gate(self) -> PageAccess:
        return PageAccess(
            callers=self.callers,
            admin_key=self._admin_key,
            secret=self.secret,
            cache=self.store.cache,
        )

    @cached_property
    def _metrics(self) -> MetricsAnswer:
        own_key = self.environment.get(self.config.server.metrics_key_env)
        return MetricsAnswer(
            metrics=self.metrics,
            levels=self._views.levels,
            keys=tuple(key for key in (self._admin_key, own_key) if key),
            open=lambda: self.callers.open,
        )


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
