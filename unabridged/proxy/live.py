"""Serves by the newest configuration that is valid, and says why if that is not the file's."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from starlette.types import Receive, Scope, Send

from unabridged.policies.config import Config
from unabridged.proxy.app import App

EVERY_SECONDS = 1.0
"""How often the file is looked at."""
FIXED = ("server", "store", "money", "budgets")
"""Parts of the configuration that count from the start to the end."""


class Live:
    """An application that takes the place of another one while requests are under way: each is
    served to its end by the one that it began with."""

    def __init__(
        self,
        app: App,
        *,
        reread: Callable[[], Config],
        file: Path | None,
        say: Callable[[str], None],
    ) -> None:
        """`reread` gives the configuration anew and raises what is wrong with it; `file` is looked
        at for changes (None: a signal alone reloads); `say` takes a line for the log."""
        self.trouble = ""
        """Why the newest file is not in force."""
        self.app = self._telling(app)
        self._reread = reread
        self._file = file
        self._say = say

    @property
    def config(self) -> Config:
        """What is in force."""
        return self.app.config

    def retire(self) -> None:
        """Readiness goes; requests are still served."""
        self.app.retire()

    def leave(self) -> None:
        """The server stops to listen: streams that never end by themselves do."""
        self.app.leave()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self.app(scope, receive, send)
        watching = asyncio.ensure_future(self._watch())
        try:
            await self.app(scope, receive, send)
        finally:
            watching.cancel()

    def reload(self) -> None:
        """Takes up the file as it is now, whole or not at all. Never raises."""
        try:
            config = self._reread()
            if config == self.config:
                said = "" if not self.trouble else "the configuration in force is the file's again"
            else:
                said = "the configuration was reloaded"
                fixed = [n for n in FIXED if getattr(config, n) != getattr(self.config, n)]
                if fixed:
                    said += f"; what changed under {', '.join(fixed)} counts after a restart"
                kept = {name: getattr(self.config, name) for name in fixed}
                self.app = self._telling(self.app.renew(config.model_copy(update=kept)))
            self.trouble = ""
        except Exception as error:
            # What is wrong is said by a class of errors made for it; it holds no secret.
            self.trouble = f"the newest configuration is not in force: {error}"
            said = self.trouble
        if said:
            self._say(said)

    def _telling(self, app: App) -> App:
        return replace(app, trouble=lambda: self.trouble)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        # Not on Windows, and only the main thread may.
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGHUP, asked.set)
        seen = self._seen()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), EVERY_SECONDS)
            now = await asyncio.to_thread(self._seen)
            if asked.is_set() or now != seen:
                asked.clear()
                seen = now
                await asyncio.to_thread(self.reload)

    def _seen(self) -> tuple[int, int, int] | None:
        """What tells one state of the file from another; a half-written one differs soon."""
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
