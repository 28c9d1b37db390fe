"""How many tokens each part of a prompt may keep: the budget controller."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from unabridged.compression.job import Count
from unabridged.compression.prompt import Prompt, Segment
from unabridged.policies.policy import Kind, Policy

DEFAULT_RATE = 0.5
"""Share of a prompt that is kept where a policy names neither a rate nor a target: half is what
the papers call mild, and extractive compression loses next to nothing at it."""

RETURNED_TO: tuple[Kind, ...] = ("instruction", "question")
"""What gets the tokens that whole demonstrations leave over, where the policy has it cut at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the segments of one kind in one turn may keep together."""

    turn: int
    kind: Kind
    segments: tuple[int, ...]
    """Their indexes in the prompt."""
    before: int
    """Their tokens as they came."""
    tokens: int
    """Tokens they may keep."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The grants of a prompt; a segment in none of them is not touched."""

    grants: tuple[Grant, ...]
    counts: tuple[int, ...]
    """Tokens of each segment as it came."""
    asked: int | None
    """Tokens that the whole prompt should have; None: nothing was asked for."""
    why: str = ""
    """Why nothing is granted, or why what was asked for cannot be met."""

    def asked_of(self, segment: int) -> int:
        """Tokens that one segment should have: its share of its grant."""
        for grant in self.grants:
            if segment in grant.segments:
                return round(grant.tokens * self.counts[segment] / max(grant.before, 1))
        return self.counts[segment]

    def granted_with(self, segment: int) -> int:
        """Tokens of the grant that a segment shares in; as it came, if it shares in none."""
        shared = (grant.tokens for grant in self.grants if segment in grant.segments)
        return next(shared, self.counts[segment])

    def returned(self, grant: Grant, unused: int) -> Grant:
        """A grant with its part of the tokens that whole demonstrations left `unused` in its turn:
        they go back to instruction and question at one rate (LLMLingua, Alg. 1)."""
        takers = [g for g in self.grants if g.turn == grant.turn and g.kind in RETURNED_TO]
        if grant not in takers or unused <= 0:
            return grant
        part = unused * grant.before // sum(taker.before for taker in takers)
        tokens = min(grant.tokens + part, grant.before)
        why = f"{grant.why}, and {tokens - grant.tokens} tokens that demonstrations left"
        return replace(grant, tokens=tokens, why=why)

    def without(self, first: int) -> Plan:
        """The plan with nothing granted to the first so many segments, so that they stay as they
        are; what shares a grant with them keeps its share."""
        grants = []
        for grant in self.grants:
            left = tuple(i for i in grant.segments if i >= first)
            before = sum(self.counts[i] for i in left)
            if left:
                tokens = round(grant.tokens * before / max(grant.before, 1))
                grants.append(replace(grant, segments=left, before=before, tokens=tokens))
        return replace(self, grants=tuple(grants)) if first else self


def allot(prompt: Prompt, policy: Policy, count: Count) -> Plan:
    """Share the tokens that `policy` asks for among the segments (LLMLingua, section 4.1).

    Each turn has its own budget, which depends on nothing behind it: the request of the
    next turn then begins with exactly what this one sends, and the provider's cache of prompt
    prefixes keeps hitting. Instruction and question are granted first, what is left is shared
    by the rest in proportion to its tokens.
    """
    counts = tuple(count(segment.text) for segment in prompt.segments)
    if policy.compressor == "off":
        return Plan(grants=(), counts=counts, asked=None, why="the policy's compressor is off")
    grants: list[Grant] = []
    reasons: list[str] = []
    asked: int | None = None
    sent = length = 0
    for turn in sorted({segment.turn for segment in prompt.segments}):
        members = [i for i, segment in enumerate(prompt.segments) if segment.turn == turn]
        before = sum(counts[i] for i in members)
        length += before
        goal, why = _goal(policy, length, before, sent)
        reasons.append(why)
        if goal is not None:
            asked = sent + goal
            found, why = _turn(prompt, policy, counts, turn, members, goal)
            grants.extend(found)
            reasons.append(why)
            before -= sum(grant.before - grant.tokens for grant in found)
        elif asked is not None:
            asked += before
        sent += before
    return Plan(
        grants=tuple(grants),
        counts=counts,
        asked=asked,
        why="; ".join(dict.fromkeys(filter(None, reasons))),
    )


def _goal(policy: Policy, length: int, before: int, sent: int) -> tuple[int | None, str]:
    """Tokens that a turn should have (None: leave it alone), and why not.

    `length` is that of the prompt up to and with this turn, `before` that of the turn, `sent`
    what the turns before it keep.
    """
    if length < policy.min_tokens:
        return None, f"{length} tokens are fewer than min_tokens ({policy.min_tokens})"
    if policy.compressor == "lossless":
        return before, ""
    rate, target = policy.rate, policy.target_tokens
    for span in policy.ranges:
        if span.min_tokens <= length and (span.max_tokens is None or length <= span.max_tokens):
            rate, target = span.rate, span.target_tokens
            break
    if target is not None:
        return target - sent, ""
    return round((DEFAULT_RATE if rate is None else rate) * before), ""


def _turn(
    prompt: Prompt,
    policy: Policy,
    counts: tuple[int, ...],
    turn: int,
    members: list[int],
    goal: int,
) -> tuple[list[Grant], str]:
    """The grants of one turn that should have `goal` tokens, and what cannot be met."""
    groups: dict[tuple[Kind, float | None], list[int]] = {}
    for i in members:
        share = _share(prompt.segments[i], policy)
        if share != 1.0 and counts[i]:
            groups.setdefault((prompt.segments[i].kind, share), []).append(i)
    sizes = {group: sum(counts[i] for i in found) for group, found in groups.items()}
    before = sum(counts[i] for i in members)
    why = ""
    if policy.compressor == "lossless":
        tokens = dict(sizes)
        reasons = dict.fromkeys(sizes, "whatever goes without loss")
    elif goal < before and not groups:
        return [], f"nothing of the {before} tokens of turn {turn} may be cut"
    elif goal >= before:
        return [], f"the {before} tokens of turn {turn} are within the {max(goal, 0)} asked for"
    else:
        tokens = {
            group: int(group[1] * size) for group, size in sizes.items() if group[1] is not None
        }
        reasons = {group: f"keeps {group[1]:g} of its own" for group in tokens}
        free = {group: size for group, size in sizes.items() if group[1] is None}
        fixed = before - sum(sizes.values())
        granted, why = _left_over(free, goal - fixed - sum(tokens.values()), policy.floor)
        if why:
            why = f"{goal} tokens cannot be met in turn {turn}: {why}"
            why += f", because what is not to be cut takes {fixed}"
        rate = sum(granted.values()) / max(sum(free.values()), 1)
        reasons |= dict.fromkeys(free, f"shares what is left over: {rate:.0%} of its tokens")
        tokens |= granted
    return [
        Grant(
            turn=turn,
            kind=group[0],
            segments=tuple(groups[group]),
            before=sizes[group],
            tokens=tokens[group],
            why=reasons[group],
        )
        for group in sizes
    ], why


def _left_over(
    sizes: dict[tuple[Kind, float | None], int], left: int, floor: float
) -> tuple[dict[tuple[Kind, float | None], int], str]:
    """Share `left` tokens in proportion to `sizes`, to the last token; not below `floor`."""
    total = sum(sizes.values())
    if not total:
        return {}, ""
    least = math.ceil(floor * total)
    why = f"the floor of {floor:g} keeps {least} of {total}" if left < least else ""
    left = min(max(left, least), total)
    shared: dict[tuple[Kind, float | None], int] = {}
    for group, size in sizes.items():
        # What rounding takes from one is left for those behind it.
        shared[group] = round(left * size / total)
        left, total = left - shared[group], total - size
    return shared, why


def _share(segment: Segment, policy: Policy) -> float | None:
    """The share of its own tokens that a segment keeps; None: of what is left over."""
    if segment.kind == "format" or segment.protected:
        return 1.0
    if segment.rate is not None:
        return segment.rate
    share: float | None = getattr(policy.keep, segment.kind)
    return share
