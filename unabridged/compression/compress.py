"""A prompt and its plan become a shorter prompt."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import Encoder
from unabridged.compression.job import Compressor, Count, Cut, Job, untouched
from unabridged.compression.join import whole_escapes
from unabridged.compression.kept import Spans, coarsen, extract, normalise, valid
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed, Prompt, Segment
from unabridged.compression.protect import whole
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.compression.select import longest
from unabridged.compression.sentences import sentences, words
from unabridged.policies.policy import Policy

COMPRESSORS: dict[str, str] = {
    "off": "unabridged.compression.compress:off",
    "lossless": "unabridged.compression.lossless:lossless",
    "extractive": "unabridged.compression.extractive:extractive",
    "llmlingua2": "unabridged.compression.llmlingua2:llmlingua2",
    "llmlingua": "unabridged.compression.llmlingua:llmlingua",
    "longllmlingua": "unabridged.compression.longllmlingua:longllmlingua",
    "auto": "unabridged.compression.auto:auto",
}
"""Where each compressor is found: import strings, so that torch loads when it is chosen."""
SCORED = ("llmlingua", "longllmlingua")
"""Compressors that are nothing without a causal model."""


class UnknownCompressor(ValueError):
    """No compressor has this name."""


class BadCut(Exception):
    """A compressor gave back what is not a cut of its job."""


def compressor(name: str) -> Compressor:
    """The compressor of a name, imported when asked for. Raises UnknownCompressor."""
    if name not in COMPRESSORS:
        known = ", ".join(COMPRESSORS)
        raise UnknownCompressor(f"unknown compressor {name!r}; known: {known}")
    module, _, attribute = COMPRESSORS[name].partition(":")
    return cast(Compressor, getattr(importlib.import_module(module), attribute))


def models_of(name: str, policy: Policy) -> frozenset[str]:
    """The seams whose weights decide what the compressor of a name makes of a text: any of
    `scorer`, `encoder`, `classifier` and `reranker`."""
    used = {
        "llmlingua": {"scorer"},
        "longllmlingua": {"scorer", "encoder", "reranker"},
        "llmlingua2": {"classifier"},
        "auto": {"encoder", "classifier"} | ({policy.judged_by} if policy.judged_by else set()),
    }
    return frozenset(used.get(name, ()))


def off(job: Job) -> Cut:
    """Everything stays."""
    return untouched(job.segments, "the compressor is off")


def run_job(name: str, job: Job) -> Cut:
    """What the compressor of a name makes of a job. A cache is put around this function."""
    return compressor(name)(job)


def compress(
    prompt: Prompt,
    plan: Plan,
    policy: Policy,
    count: Count,
    *,
    scorer: Callable[[], Scorer] | None = None,
    encoder: Callable[[], Encoder | None] = lambda: None,
    classifier: Callable[[], Classifier | None] = lambda: None,
    reranker: Callable[[], Reranker | None] = lambda: None,
    run: Callable[[str, Job], Cut] = run_job,
    checkpoint: Callable[[], None] = lambda: None,
) -> Compressed:
    """Cut every grant of the plan to its tokens, one job for each.

    A turn that would save less than `min_saving` of its tokens is left as it came, and so is a
    segment that would not get smaller. A string of the body that would be left without any text
    keeps the beginning of its shortest segment, because providers refuse empty messages.
    Raises UnknownCompressor, BadCut, and what `run` and `checkpoint` raise.
    """
    segments = prompt.segments
    entire = untouched(segments, "").kept
    kept, why = list(entire), [_standing(segment, plan, policy) for segment in segments]
    after = list(plan.counts)
    order = list(range(len(segments)))
    unused: Counter[int] = Counter()
    # Demonstrations first: they stay whole, and what they leave others of their turn get.
    for each in sorted(plan.grants, key=lambda grant: grant.kind != "demonstration"):
        checkpoint()
        grant = plan.returned(each, unused[each.turn])
        job = Job(
            segments=tuple(segments[i] for i in grant.segments),
            question=prompt.question(grant.turn),
            tokens=grant.tokens,
            count=count,
            policy=policy,
            scorer=scorer,
            encoder=encoder,
            classifier=classifier,
            reranker=reranker,
            checkpoint=checkpoint,
        )
        cut = _checked(policy.compressor, job, run(policy.compressor, job))
        for i, spans, reason in zip(grant.segments, cut.kept, cut.why, strict=True):
            tokens = count(extract(segments[i].text, spans))
            if len(spans) == 1 and spans == entire[i]:
                why[i] = reason
            elif spans != entire[i] and tokens < plan.counts[i]:
                kept[i], why[i], after[i] = spans, reason, tokens
            else:
                why[i] = f"as it came: cutting would save no token ({reason})"
        if grant.kind == "demonstration":
            unused[grant.turn] += grant.tokens - sum(after[i] for i in grant.segments)
        for place, moved in zip(grant.segments, cut.order, strict=False):
            order[place] = grant.segments[moved]
    _refill(segments, count, plan, kept, why, after)
    for turn in {grant.turn for grant in plan.grants}:
        if not _spare(segments, plan, policy, turn, kept, why, after):
            for i, segment in enumerate(segments):
                order[i] = i if segment.turn == turn else order[i]
    return Compressed(
        prompt=prompt,
        kept=tuple(kept),
        why=tuple(why),
        order=() if order == sorted(order) else tuple(order),
        tokens_before=plan.counts,
        tokens_after=tuple(after),
    )


def _standing(segment: Segment, plan: Plan, policy: Policy) -> str:
    """Why a segment is not cut, as long as nothing cuts it."""
    if not segment.text:
        return "empty"
    if segment.kind == "format":
        return "holds the prompt together: never cut"
    if segment.protected:
        return "protected: nothing may cut inside"
    if not plan.grants:
        return plan.why or "nothing was asked for"
    if getattr(policy.keep, segment.kind) == 1.0 or segment.rate == 1.0:
        return f"{segment.kind.replace('_', ' ')}s are kept whole by the policy"
    return plan.why or "within what was asked for"


def _checked(name: str, job: Job, cut: Cut) -> Cut:
    """The cut, with JSON escapes whole. Raises BadCut if it is none of this job."""
    if not len(cut.kept) == len(cut.why) == len(job.segments):
        raise BadCut(
            f"compressor {name!r} gave {len(cut.kept)} span lists and {len(cut.why)} reasons "
            f"for {len(job.segments)} segments"
        )
    checked: list[Spans] = []
    for i, (segment, spans) in enumerate(zip(job.segments, cut.kept, strict=True)):
        if not valid(spans, len(segment.text)):
            raise BadCut(
                f"compressor {name!r} gave spans that are not sorted, disjoint and within "
                f"{len(segment.text)} characters for segment {i}"
            )
        checked.append(normalise(whole_escapes(segment, spans)))
    if cut.order and sorted(cut.order) != list(range(len(job.segments))):
        raise BadCut(f"compressor {name!r} gave an order that is not one of {len(job.segments)}")
    return Cut(kept=tuple(checked), why=cut.why, order=cut.order)


def _refill(
    segments: Sequence[Segment],
    count: Count,
    plan: Plan,
    kept: list[Spans],
    why: list[str],
    after: list[int],
) -> None:
    """Give a string that was left without text the beginning of its shortest segment back."""
    strings: dict[object, list[int]] = {}
    for i, segment in enumerate(segments):
        strings.setdefault(segment.where.path, []).append(i)
    for members in strings.values():
        full = [i for i in members if segments[i].text.strip()]
        if not full or any(extract(segments[i].text, kept[i]).strip() for i in members):
            continue
        least = min(full, key=lambda i: (plan.counts[i], i))
        kept[least] = _beginning(segments[least], plan.granted_with(least), count)
        after[least] = count(extract(segments[least].text, kept[least]))
        why[least] = "its beginning is kept: without it the message would be empty"


def _beginning(segment: Segment, room: int, count: Count) -> Spans:
    """The first sentence with head and tail, or as many of its words as fit `room` tokens, but one
    at least; all of what must not be cut into sentences."""
    start, end = segment.content
    text = segment.text[start:end]
    if segment.kind == "demonstration" or not text.strip():
        return ((0, len(segment.text)),)
    unbroken = whole(text, escaped=segment.escaped)
    first = coarsen(sentences(text), unbroken)[0][1]
    ends = [start + stop for _, stop in coarsen(words(text, 0, first), unbroken)]

    def upto(number: int) -> Spans:
        spans = [(0, ends[number - 1]), (end, len(segment.text))]
        return normalise(whole_escapes(segment, spans))

    least = next(n for n, stop in enumerate(ends, 1) if segment.text[start:stop].strip())
    fit = longest(len(ends), lambda n: count(extract(segment.text, upto(max(n, 1)))), room)
    return upto(max(fit, least))


def _spare(
    segments: Sequence[Segment],
    plan: Plan,
    policy: Policy,
    turn: int,
    kept: list[Spans],
    why: list[str],
    after: list[int],
) -> bool:
    """Put a turn back as it came if cutting it saves too little to be worth it; True if it was
    worth it."""
    members = [i for i, segment in enumerate(segments) if segment.turn == turn]
    before = sum(plan.counts[i] for i in members)
    saving = before - sum(after[i] for i in members)
    if saving > 0 and saving >= policy.min_saving * before:
        return True
    for i in members:
        if saving > 0 and after[i] != plan.counts[i]:
            why[i] = (
                f"as it came: {saving} of {before} tokens would be saved, less than min_saving "
                f"({policy.min_saving:g})"
            )
        kept[i] = ((0, len(segments[i].text)),) if segments[i].text else ()
        after[i] = plan.counts[i]
    return False
