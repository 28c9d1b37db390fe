"""What another policy would have made of the last requests.

Where the text is kept it is compressed again; elsewhere the budget controller grants tokens to
the segments on record, and what a compressor would keep is taken to be what it is granted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from unabridged.compression.plan import allot
from unabridged.compression.prompt import Prompt, Segment, Where
from unabridged.policies.policy import Policy
from unabridged.proxy.admin import NotPossible
from unabridged.proxy.page_answers import (
    Counted,
    DryRun,
    DryRunRow,
    DryRunTotals,
    SegmentRow,
)
from unabridged.proxy.playground import Playground
from unabridged.proxy.receipt_book import Past

NO_PROMPT = "no prompt was counted"


async def dry_run(past: Sequence[Past], policy: Policy, playground: Playground) -> DryRun:
    """One row for each request that had a prompt. Nothing is sent."""
    rows: list[DryRunRow] = []
    skipped: Counter[str] = Counter()
    for one in past:
        if one.row["tokens_before"] is None or one.row["tokens_after"] is None:
            skipped[NO_PROMPT] += 1
            continue
        rows.append(await _row(one, policy, playground))
    return DryRun(
        policy=understood(policy),
        rows=rows,
        totals=_totals(rows),
        skipped=[Counted(what=what, requests=n) for what, n in skipped.most_common()],
    )


def understood(policy: Policy) -> str:
    """A policy in a few words."""
    return f"{policy.compressor}, {target(policy)}"


def target(policy: Policy) -> str:
    """What a policy aims at, such as `rate 0.5`."""
    if policy.ranges:
        return "by length"
    if policy.target_tokens is not None:
        return f"{policy.target_tokens} tokens"
    return "no rate" if policy.rate is None else f"rate {policy.rate:g}"


def reckoned(segments: Sequence[SegmentRow], before: int, policy: Policy) -> tuple[int, str]:
    """Tokens that a prompt of such segments would be granted, and why no fewer."""
    rest = max(0, before - sum(row["tokens"] for row in segments))
    # A segment's text is its number here: the budget controller asks for nothing but its length.
    counts = {str(row["index"]): row["tokens"] for row in segments} | {"rest": rest}
    found = [
        Segment(kind=row["kind"], text=str(row["index"]), where=Where(path=(), start=0))
        for row in segments
    ]
    found.append(Segment(kind="format", text="rest", where=Where(path=(), start=0)))
    prompt = Prompt(body="", segments=tuple(found))
    plan = allot(prompt, policy, counts.__getitem__)
    after = before - sum(grant.before - grant.tokens for grant in plan.grants)
    if before - after < policy.min_saving * before:
        return before, plan.why or "less than min_saving would be saved"
    return min(after, before), plan.why


async def _row(one: Past, policy: Policy, playground: Playground) -> DryRunRow:
    row, before = one.row, one.row["tokens_before"] or 0
    if one.body is None:
        now, note = reckoned(one.segments, before, policy)
    else:
        try:
            tested = await playground.run(one.body, policy, model=row["model"])
            now, note = tested.result["tokens_after"], tested.result["why_whole"]
        except NotPossible as error:
            now, note = before, str(error)
    then = row["tokens_after"] or 0
    return DryRunRow(
        id=row["id"],
        at_ms=row["at_ms"],
        route=row["route"],
        tokens_before=before,
        tokens_then=then,
        tokens_now=now,
        saved_nano_usd_then=row["saved_nano_usd"],
        saved_nano_usd_now=_saved(
            row["saved_nano_usd"], before, then, now, row["model"], playground
        ),
        how="reckoned" if one.body is None else "compressed",
        note=note,
    )


def _saved(
    was: int | None, before: int, then: int, now: int, model: str, playground: Playground
) -> int | None:
    """As much for a token as was saved then; where nothing was, at the price of plain input."""
    if was and before > then:
        return round(was * (before - now) / (before - then))
    return playground.price(model, "", before - now)


def _totals(rows: Sequence[DryRunRow]) -> DryRunTotals:
    return DryRunTotals(
        requests=len(rows),
        compressed=sum(row["how"] == "compressed" for row in rows),
        tokens_before=sum(row["tokens_before"] for row in rows),
        tokens_then=sum(row["tokens_then"] for row in rows),
        tokens_now=sum(row["tokens_now"] for row in rows),
        saved_nano_usd_then=sum(row["saved_nano_usd_then"] or 0 for row in rows),
        saved_nano_usd_now=sum(row["saved_nano_usd_now"] or 0 for row in rows),
    )
