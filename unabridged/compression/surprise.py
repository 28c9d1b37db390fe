"""What each word of a block is worth: how much it surprised a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.blocks import Block
from unabridged.compression.droppable import in_turn
from unabridged.compression.job import Job
from unabridged.compression.kept import extract
from unabridged.compression.prompt import Span
from unabridged.compression.scorer import TokenScores
from unabridged.compression.select import Unit, spans_of

OPEN = 2.0
"""Times the budget that is let in before words are dropped (k in Alg. 1)."""

LONG_WORD = 4.0
"""Tokens up to which a longer word is worth more than a short one of the same surprise for each
token. Names are long; but so are code and addresses, which would always come first without it."""

BATCH = 2400
"""Characters that are scored between two looks at whether anybody still waits."""


class NoScorer(Exception):
    """There are no weights to score with."""


def need_scorer(job: Job) -> None:
    """Raises NoScorer, which says what to fetch, if the job has none."""
    if job.scorer is None:
        raise NoScorer(
            f"no weights for scorer {str(job.policy.scorer)!r}; `unabridged models pull "
            f"{job.policy.scorer}` fetches them, or choose another compressor"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A block, with the surprise of its words in nats; see `pooled`."""

    block: Block
    values: NDArray[np.float64]
    """Shape (units,)."""
    mean: float
    """Of all its tokens: the logarithm of its perplexity."""
    share: float = 1 / OPEN
    """Of its characters, that it offers before the rest of any block has its turn."""


def score(job: Job, texts: Sequence[str], conditions: Sequence[str]) -> list[TokenScores]:
    """Score texts, longest first so that little is padded, and give them back in their order."""
    assert job.scorer is not None
    scorer = job.scorer()
    found: dict[int, TokenScores] = {}
    queue = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
    while queue:
        job.checkpoint()
        batch: list[int] = []
        size = 0
        while queue and (not batch or size < BATCH):
            batch.append(queue.pop(0))
            size += len(texts[batch[-1]])
        fresh = scorer.score([texts[i] for i in batch], [conditions[i] for i in batch])
        found.update(zip(batch, fresh, strict=True))
    return [found[i] for i in range(len(texts))]


def scored(block: Block, tokens: TokenScores, share: float = 1 / OPEN) -> Scored:
    """A block with the surprise of its words."""
    stretches = [
        [(a - block.start, b - block.start) for a, b in unit.spans] for unit in block.units
    ]
    values = in_turn(block.units, pooled(tokens, block.end - block.start, stretches))
    mean = float(tokens.scores.mean()) if len(tokens.scores) else 0.0
    return Scored(block=block, values=values, mean=round(mean, 3), share=share)


def pooled(
    tokens: TokenScores, length: int, stretches: Sequence[Sequence[Span]]
) -> NDArray[np.float64]:
    """Surprise of each stretch of a text of `length` characters, in nats: the sum over its
    tokens, and for one of more than LONG_WORD tokens the sum that so many would have. A stretch
    is one span or several.

    A token that lies on an edge counts to both sides by its characters; several tokens on one
    character (bytes of a rare one) all count to it.
    """
    widths = np.maximum(tokens.spans[:, 1] - tokens.spans[:, 0], 1)
    nats, count = np.zeros(length + 1), np.zeros(length + 1)
    for ends, sign in ((tokens.spans[:, 0], 1), (tokens.spans[:, 0] + widths, -1)):
        at = np.minimum(ends, length)
        np.add.at(nats, at, sign * tokens.scores / widths)
        np.add.at(count, at, sign / widths)
    nats, count = (np.concatenate([[0.0], np.cumsum(np.cumsum(x)[:-1])]) for x in (nats, count))
    flat = np.array([span for spans in stretches for span in spans], dtype=np.int64).reshape(-1, 2)
    firsts = np.cumsum([0, *map(len, stretches)])[:-1]
    share, sums = (
        np.add.reduceat(x[flat[:, 1]] - x[flat[:, 0]], firsts) if len(flat) else np.zeros(0)
        for x in (count, nats)
    )
    value: NDArray[np.float64] = sums / np.maximum(share / LONG_WORD, 1.0)
    return value.round(3)


def opening(offer: Scored) -> tuple[list[Unit], list[tuple[float, Unit]]]:
    """What a block offers first, best first, and the rest with its surprise."""
    block = offer.block
    first = [unit for unit in block.units if unit in block.first]
    others = [i for i, unit in enumerate(block.units) if unit not in block.first]
    ranked = sorted(others, key=lambda i: (-offer.values[i], i))
    room = (block.end - block.start) * offer.share - sum(u.end - u.start for u in first)
    for place, i in enumerate(ranked):
        room -= block.units[i].end - block.units[i].start
        if room < 0:
            rest = [(float(offer.values[j]), block.units[j]) for j in ranked[place:]]
            return [*first, *(block.units[j] for j in ranked[:place])], rest
    return [*first, *(block.units[j] for j in ranked)], []


def left_of(job: Job, offers: Sequence[Scored]) -> str:
    """What some blocks offer first, as it would be sent: the compressed prefix of Alg. 2."""
    kept = spans_of(job.segments, [unit for each in offers for unit in opening(each)[0]])
    return "".join(extract(s.text, x) for s, x in zip(job.segments, kept, strict=True))
