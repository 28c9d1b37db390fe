"""A whole prompt that was compressed before, as numbers: nothing has to be done again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unabridged.compression.body import Body
from unabridged.compression.plan import Grant, Plan
from unabridged.compression.prompt import Compressed, Path, Prompt, Segment, Where
from unabridged.proxy.contexts import Scope, digest
from unabridged.proxy.gate import Gate
from unabridged.proxy.prefixes import Mark

VARYING = frozenset(
    {"stream", "stream_options", "temperature", "top_p", "n", "seed", "stop", "user", "metadata",
     "store", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty",
     "logprobs", "top_logprobs", "logit_bias", "service_tier", "safety_identifier", "unabridged"}
)  # fmt: skip
"""Keys of a body that change nothing about what is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What became of a prompt."""

    compressed: Compressed
    plan: Plan
    why: str
    """Why nothing was cut; empty if something was."""
    gate: Gate
    marks: tuple[Mark, ...]
    """Of the prefixes that the next request may share."""


def plan_key(
    body: Body, scope: Scope, compressor: str, question: str | None, *, strict: bool = False
) -> str:
    """A digest of everything that the outcome depends on."""
    parts = [
        body.surface, compressor, scope.policy_version, scope.scorer(compressor), scope.tokenizer,
        repr((question, strict)),
    ]  # fmt: skip
    if not body.members:  # plain text
        parts.append(body.raw)
    for member in body.members:
        if member.key not in VARYING:
            parts += (member.key, body.raw[member.value : member.end])
    return f"plan:{digest(parts)}"


def encode(whole: Whole) -> bytes:
    """Numbers, and why each segment was cut or not; of the text its places alone. Why a segment
    is of its kind is left out: that can quote it."""
    prompt = whole.compressed.prompt
    paths = list(dict.fromkeys(s.where.path for s in prompt.segments))
    said = {
        "paths": paths,
        "segments": [
            [paths.index(s.where.path), s.where.start, len(s.text), s.kind, s.turn, s.head, s.tail,
             s.protected, s.chained, s.escaped, s.rate]
            for s in prompt.segments
        ],
        "note": prompt.note,
        "kept": whole.compressed.kept,
        "reasons": whole.compressed.why,
        "order": whole.compressed.order,
        "before": whole.compressed.tokens_before,
        "after": whole.compressed.tokens_after,
        "asked": whole.plan.asked,
        "granted": [whole.plan.asked_of(i) for i in range(len(prompt.segments))],
        "why": whole.why,
        "gate": [whole.gate.choice, whole.gate.tokens],
        "marks": [[m.end, m.name, m.whole, m.sent, m.cut] for m in whole.marks],
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":")).encode()


def decode(value: bytes, body: Body, question: str | None) -> Whole | None:
    """None if it does not fit the body, which is then compressed anew."""
    try:
        data = json.loads(value)
        texts = {text.path: text.value for text in body.texts}
        paths: list[Path] = [tuple(path) for path in data["paths"]]
        segments = tuple(_segment(row, paths, texts) for row in data["segments"])
        prompt = Prompt(
            body=body.raw,
            segments=segments,
            note=data["note"],
            asked=question or "",
            surface=body.surface,
        )
        compressed = Compressed(
            prompt=prompt,
            kept=tuple(tuple((a, b) for a, b in spans) for spans in data["kept"]),
            why=tuple(data["reasons"]),
            order=tuple(data["order"]),
            tokens_before=tuple(data["before"]),
            tokens_after=tuple(data["after"]),
        )
        marks = tuple(
            Mark(end=end, name=name, whole=whole, sent=sent, cut=cut)
            for end, name, whole, sent, cut in data["marks"]
        )
        choice, tokens = data["gate"]
        plan = _plan(compressed, data["granted"], data["asked"])
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    if len(compressed.kept) != len(segments):
        return None
    gate = Gate(choice=choice, tokens=tokens)
    return Whole(compressed=compressed, plan=plan, why=data["why"], gate=gate, marks=marks)


def _plan(compressed: Compressed, granted: Sequence[int], asked: int | None) -> Plan:
    """What each segment was granted, one by one."""
    grants = tuple(
        Grant(turn=s.turn, kind=s.kind, segments=(i,), before=before, tokens=tokens, why="")
        for i, (s, before, tokens) in enumerate(
            zip(compressed.prompt.segments, compressed.tokens_before, granted, strict=True)
        )
        if before != tokens
    )
    return Plan(grants=grants, counts=compressed.tokens_before, asked=asked)


def _segment(row: Sequence[Any], paths: Sequence[Path], texts: Mapping[Path, str]) -> Segment:
    place, start, length, kind, turn, head, tail, protected, chained, escaped, rate = row
    text = texts[paths[place]][start : start + length]
    if len(text) != length:
        raise ValueError("not of this body")
    return Segment(
        kind=kind,
        text=text,
        where=Where(path=paths[place], start=start),
        turn=turn,
        head=head,
        tail=tail,
        protected=protected,
        chained=chained,
        escaped=escaped,
        rate=rate,
    )
