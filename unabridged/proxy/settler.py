"""Charges in the background what requests came to, many at once and in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from unabridged.proxy.ledger import Entry, Hold, Ledger, Level, Settled
from unabridged.proxy.spool import Spool

BATCH = 100
"""Entries in one call; the store works on them for about a millisecond."""
GATHER_SECONDS = 0.02
"""How long an entry that frees no reservation waits for others, and so what a kill can lose."""
MOST_WAITING = 10_000
"""More go to disk, so that a slow store does not fill the memory."""
CLOSING_SECONDS = 2.0


class Settler:
    """One batch is under way at a time, and what comes meanwhile makes the next.

    Until it is charged a request is counted with all that it had reserved, so counters are only
    ever too high, and nobody slips through a budget by asking again at once. What the ledger does
    not take is spooled.
    """

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool,
        *,
        learn: Callable[[Sequence[Level]], None] = lambda _: None,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`learn` is told the levels after each batch."""
        self._ledger = ledger
        self._spool = spool
        self._learn = learn
        self._on_trouble = on_trouble
        self._waiting: list[Settled] = []
        self._under_way: list[Settled] = []
        self._added = 0
        self._done = 0
        self._hurry = False
        self._gathering: asyncio.TimerHandle | None = None
        self._working: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """True if all that was added is in the ledger or in the spool."""
        return self._done == self._added

    async def add(self, hold: Hold, entry: Entry) -> None:
        """Never raises, and waits for nothing unless so many wait that the disk has to take them.
        What frees a reservation goes at once, for the next request may need the room."""
        self._waiting.append((hold, entry))
        self._added += 1
        if len(self._waiting) > MOST_WAITING:
            too_many, self._waiting = self._waiting, []
            await self._spooled(too_many)
            self._done += len(too_many)
        elif hold.claims:
            self._hurry = True
            self._work()
        else:
            self._gather()

    async def settled(self) -> None:
        """Returns when all that was added before is in the ledger or in the spool."""
        last = self._added
        while self._done < last:
            self._hurry = True
            self._work()
            if self._working is None:  # what is missing is just being spooled
                await asyncio.sleep(0.001)
            else:
                await asyncio.shield(self._working)

    async def again(self) -> None:
        """Charges what was spooled. Raises LedgerDown."""
        for batch in _batches(await asyncio.to_thread(self._spool.take)):
            await self._ledger.settle_many(batch)
            await asyncio.to_thread(self._spool.done, [hold for hold, _ in batch])

    async def close(self) -> None:
        """Settles what waits or, if that takes more than CLOSING_SECONDS, spools it."""
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self.settled()
        except TimeoutError:
            if self._working is not None:
                self._working.cancel()
            await self._spooled([*self._under_way, *self._waiting])
            self._waiting.clear()
            self._done = self._added

    def _gather(self) -> None:
        if self._working is None and self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(GATHER_SECONDS, self._work)

    def _work(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._working is None and self._waiting:
            self._working = asyncio.ensure_future(self._batch_by_batch())

    async def _batch_by_batch(self) -> None:
        try:
            while self._waiting:
                self._under_way, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                await self._charge(self._under_way)
                self._done += len(self._under_way)
                if not self._hurry and len(self._waiting) < BATCH:
                    break
            else:
                self._hurry = False
        finally:
            self._working = None
            if self._waiting:
                self._gather()

    async def _charge(self, settled: Sequence[Settled]) -> None:
        batches = list(_batches(settled))
        outcomes = await asyncio.gather(
            *(self._ledger.settle_many(batch) for batch in batches), return_exceptions=True
        )
        failed: list[Settled] = []
        for batch, levels in zip(batches, outcomes, strict=True):
            if isinstance(levels, BaseException):
                failed += batch
            else:
                self._learn(levels)
        if failed:
            await self._spooled(failed)

    async def _spooled(self, settled: Sequence[Settled]) -> None:
        try:
            await asyncio.to_thread(self._spool.add, settled)
        except Exception as error:  # whatever it is, the next batch must go on
            self._on_trouble(f"what could not be charged is in memory alone: {error}")


def _batches(settled: Sequence[Settled]) -> Iterator[list[Settled]]:
    """Each of one organisation."""
    by_org: dict[str, list[Settled]] = {}
    for one in settled:
        by_org.setdefault(one[1].scopes.org, []).append(one)
    for same in by_org.values():
        for start in range(0, len(same), BATCH):
            yield same[start : start + BATCH]
