"""One prompt from beginning to end: split, allot, compress."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unabridged.compression.classifier import Classifier
from unabridged.compression.compress import COMPRESSORS, compress
from unabridged.compression.compress import compressor as strategy
from unabridged.compression.encoder import Encoder
from unabridged.compression.job import Count
from unabridged.compression.join import render
from unabridged.compression.plan import Plan, allot
from unabridged.compression.prompt import Compressed
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.compression.split import split, split_text
from unabridged.compression.tokens import counter
from unabridged.policies.load import load
from unabridged.policies.policy import Policy
from unabridged.policies.problem import dotted

UNHURRIED_MS = 3_600_000
"""Deadline of work that nobody waits for in front of a proxy."""


class BadTarget(ValueError):
    """The rate or the tokens that were asked for cannot be met by any prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abridged:
    """What became of a prompt, and what had been planned for it."""

    plan: Plan
    compressed: Compressed

    @property
    def text(self) -> str:
        """The shortened text, or the request body with the shortened texts in it."""
        return render(self.compressed)

    @property
    def why_whole(self) -> str:
        """Why nothing was cut; empty if something was."""
        if self.compressed.tokens_after != self.compressed.tokens_before:
            return ""
        return self.plan.why or self.compressed.prompt.note or "nothing in it could be cut"


def abridge(
    prompt: str,
    policy: Policy,
    *,
    count: Count,
    question: str | None = None,
    scorer: Callable[[], Scorer] | None = None,
    encoder: Callable[[], Encoder | None] = lambda: None,
    classifier: Callable[[], Classifier | None] = lambda: None,
    reranker: Callable[[], Reranker | None] = lambda: None,
) -> Abridged:
    """Compress a plain text, or a request body (a JSON object that a prompt lives in).

    `count` gives the tokens of a text in the upstream model's tokenizer, `question` is what
    documents are judged by (None: the split looks for it), and `scorer`, `encoder`, `classifier`
    and `reranker` load the models of a policy that needs them.
    """
    split_up = split if is_body(prompt) else split_text
    found = split_up(prompt, policy, question)
    plan = allot(found, policy, count)
    return Abridged(
        plan=plan,
        compressed=compress(
            found,
            plan,
            policy,
            count,
            scorer=scorer,
            encoder=encoder,
            classifier=classifier,
            reranker=reranker,
        ),
    )


def policy_for(
    compressor: str = "auto", *, rate: float | None = None, tokens: int | None = None
) -> Policy:
    """The shipped policy of a compressor with another target, for whoever asks for compression
    outright: no prompt is too short for it, no saving too small.

    Raises UnknownCompressor and BadTarget.
    """
    strategy(compressor)
    if rate is not None and tokens is not None:
        raise BadTarget("set a rate or a number of tokens, not both")
    if rate is not None and not 0 < rate <= 1:
        raise BadTarget(f"rate must be > 0 and <= 1, not {rate:g}")
    if tokens is not None and tokens < 1:
        raise BadTarget(f"tokens must be >= 1, not {tokens}")
    shipped = load(None, compressors=COMPRESSORS).policies
    policy = shipped.get(compressor, Policy(compressor=compressor, rate=0.5))
    target: dict[str, Any] = {}
    if rate is not None or tokens is not None:
        target = {"rate": rate, "target_tokens": tokens, "ranges": ()}
    quick = {"min_tokens": 0, "min_saving": 0.0, "deadline_ms": UNHURRIED_MS}
    return policy.model_copy(update={**quick, **target})


def model_of(prompt: str) -> str:
    """The model that a request body names; empty for a plain text."""
    model = json.loads(prompt).get("model") if is_body(prompt) else None
    return model if isinstance(model, str) else ""


def compress_prompt(
    prompt: str,
    *,
    question: str | None = None,
    rate: float | None = None,
    tokens: int | None = None,
    compressor: str = "auto",
    model: str | None = None,
    scorer: Callable[[], Scorer] | None = None,
    encoder: Callable[[], Encoder | None] = lambda: None,
    classifier: Callable[[], Classifier | None] = lambda: None,
) -> Abridged:
    """`abridge` with a shipped policy and the tokenizer of `model` (None: the one that the
    request body names). Raises what `policy_for` raises."""
    policy = policy_for(compressor, rate=rate, tokens=tokens)
    count = counter(model_of(prompt) if model is None else model)
    return abridge(
        prompt,
        policy,
        count=count,
        question=question,
        scorer=scorer,
        encoder=encoder,
        classifier=classifier,
    )


def is_body(prompt: str) -> bool:
    """True if a text is the JSON of a request rather than a prompt itself."""
    if not prompt.lstrip().startswith("{"):
        return False
    try:
        body = json.loads(prompt)
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("messages"), list)


def record(abridged: Abridged, compressor: str, milliseconds: float) -> dict[str, Any]:
    """A compression as plain data, for programs.

    `kept` has the kept spans in characters: a list of [start, end] for a plain text; for a
    request body one such list for each of its strings, under the string's place.
    """
    compressed = abridged.compressed
    return {
        "compressed": abridged.text,
        "kept": _kept(compressed),
        "tokens_before": sum(compressed.tokens_before),
        "tokens_after": sum(compressed.tokens_after),
        "segments": [
            {
                "kind": segment.kind,
                "place": dotted(segment.where.path),
                "start": segment.where.start,
                "tokens": compressed.tokens_before[i],
                "asked": abridged.plan.asked_of(i),
                "got": compressed.tokens_after[i],
                "reason": "; ".join(filter(None, (segment.why, compressed.why[i]))),
            }
            for i, segment in enumerate(compressed.prompt.segments)
        ],
        "compressor": compressor,
        "milliseconds": round(milliseconds, 1),
    }


def _kept(compressed: Compressed) -> list[list[int]] | dict[str, list[list[int]]]:
    kept: dict[str, list[list[int]]] = {}
    for segment, spans in zip(compressed.prompt.segments, compressed.kept, strict=True):
        found = kept.setdefault(dotted(segment.where.path), [])
        for start, end in spans:
            start, end = start + segment.where.start, end + segment.where.start
            if found and found[-1][1] == start:
                found[-1][1] = end
            else:
                found.append([start, end])
    return kept.get("", []) if set(kept) <= {""} else kept
