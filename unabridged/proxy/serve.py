"""Puts the proxy together from a configuration and runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TextIO

import platformdirs

from unabridged.compression.body import read
from unabridged.compression.compress import compress
from unabridged.compression.join import render
from unabridged.compression.plan import allot
from unabridged.compression.split import split
from unabridged.compression.tokens import counter, known_words
from unabridged.policies.config import Config
from unabridged.proxy import log
from unabridged.proxy.app import App
from unabridged.proxy.assembly import Assembly
from unabridged.proxy.callers import Callers
from unabridged.proxy.classifiers import Classifiers
from unabridged.proxy.encoders import Encoders
from unabridged.proxy.kept_text import KeptTexts
from unabridged.proxy.keys import load_keys
from unabridged.proxy.live import Live
from unabridged.proxy.metrics import Metrics
from unabridged.proxy.receipt import Receipts
from unabridged.proxy.receipt_book import ReceiptBook
from unabridged.proxy.scorers import Scorers
from unabridged.proxy.seams import open_seams
from unabridged.proxy.servable import NotServable, check
from unabridged.proxy.server import Server
from unabridged.proxy.shelf import Shelves
from unabridged.proxy.steps import Steps
from unabridged.proxy.store import serve_store, server_secret
from unabridged.proxy.tracing import open_tracing
from unabridged.proxy.treasury import open_records, open_treasury
from unabridged.proxy.workers import Workers
from unabridged.recovery.answer import restore_answer
from unabridged.recovery.index import Index
from unabridged.recovery.streams import stream_restorer

LOG = "unabridged.proxy"


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
    logging.getLogger("uvicorn").handlers = [log.handler()]
    live = Live(app, reread=reread or (lambda: config), file=file, say=log.logger(LOG).warning)
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
    check(config, callers, environment)
    logger = log.logger(LOG, output)
    server, store = config.server, serve_store(config.store, state_dir, environment)
    reading = Workers(threads=1, queue=256, name="read")
    texts = KeptTexts(cache=store.cache, secret=secret)
    book = ReceiptBook(engine=records.engine, texts=texts, days=server.receipt_days)
    metrics = Metrics()
    treasury = open_treasury(
        config,
        records,
        state_dir=state_dir,
        store_url=store.url,
        revive=store.revive,
        reading=reading,
        counter=counter,
        on_trouble=logger.warning,
    )
    assembly = Assembly(
        config=config,
        environment=environment,
        secret=secret,
        steps=steps or the_steps(),
        callers=callers,
        store=store,
        seams=open_seams(
            models, server.device, scorers=scorers, encoders=encoders, classifiers=classifiers
        ),
        shelves=Shelves(store.cache, secret, most_bytes=config.store.cache_mb * 2**20),
        reading=reading,
        compressing=Workers(threads=server.workers, queue=server.queue),
        book=book,
        receipts=Receipts(share=store.share, output=output, takers=(book.write, metrics.take)),
        metrics=metrics,
        tracing=open_tracing(environment),
        treasury=treasury,
        log=logger,
    )
    return assembly.app(config)
