"""Tries a compression without sending anything: segments, words with scores, tokens, price."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from unabridged.abridge import Abridged, abridge, is_body, model_of, policy_for
from unabridged.compression.classifier import Classifier, Judged
from unabridged.compression.compress import COMPRESSORS, SCORED, UnknownCompressor
from unabridged.compression.job import Cancelled, Count
from unabridged.compression.prompt import Compressed, Span
from unabridged.compression.scorer import Scorer, TokenScores
from unabridged.compression.sentences import words
from unabridged.policies.policy import Policy
from unabridged.proxy.admin import BadCall, NotPossible
from unabridged.proxy.detail import Seen, kept_segments, segment_rows
from unabridged.proxy.page_answers import Trial, TrialResult, TrialSegment, Word
from unabridged.proxy.policy_models import Models, Wrap, bare
from unabridged.proxy.price import Prices
from unabridged.proxy.usage import PER_NANO
from unabridged.proxy.workers import DeadlineMissed, QueueFull, Workers

SECONDS = 60.0
"""Longest time for one trial."""
SURPRISE = "how much each word surprises the model"
JUDGED = "how likely each word is to be kept, by the classifier"


class OverheardClassifier:
    """A Classifier that remembers what it said of each text."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.said: dict[str, TokenScores] = {}

    @property
    def revision(self) -> str:
        return self._classifier.revision

    @property
    def asks(self) -> bool:
        return self._classifier.asks

    def reads(self, text: str) -> bool:
        return self._classifier.reads(text)

    def judge(self, texts: Sequence[str], *more: Any, **named: Any) -> list[Judged]:
        found = self._classifier.judge(texts, *more, **named)
        for text, judged in zip(texts, found, strict=True):
            scores = judged.keep.astype(np.float32)
            self.said.setdefault(text, TokenScores(spans=judged.spans, scores=scores))
        return found


T = TypeVar("T")
M = TypeVar("M")
Said = Mapping[str, TokenScores]
"""What a scorer said of each text that it read."""


class Overheard:
    """A Scorer that remembers what it said of each text."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.said: dict[str, TokenScores] = {}

    @property
    def revision(self) -> str:
        return self._scorer.revision

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        found = self._scorer.score(texts, conditions)
        for text, scores in zip(texts, found, strict=True):
            self.said.setdefault(text, scores)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A trial's outcome, and what recovery would need."""

    abridged: Abridged
    result: TrialResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground:
    """Put together at start-up. Has workers of its own, so that no trial holds up a request."""

    models: Models
    counter: Callable[[str, str | None], Count]
    prices: Prices
    workers: Workers = field(default_factory=lambda: Workers(threads=1, queue=8, name="trial"))

    def compressors(self) -> list[str]:
        """Those that can be used here: the others lack the weights of their model."""
        lacks = self.models.scorer(Policy()) is None
        return [name for name in COMPRESSORS if not (lacks and name in SCORED)]

    async def test(self, trial: Trial, *, tokenizer: str | None = None, url: str = "") -> Tested:
        """Compresses as asked. Raises BadCall and NotPossible."""
        try:
            policy = policy_for(trial.compressor, rate=trial.rate, tokens=trial.tokens)
        except (UnknownCompressor, ValueError) as error:
            raise BadCall(str(error)) from None
        model = trial.model or model_of(trial.text)
        return await self.run(
            trial.text, policy, model=model, question=trial.question, tokenizer=tokenizer, url=url
        )

    async def run(
        self,
        text: str,
        policy: Policy,
        *,
        model: str,
        question: str | None = None,
        tokenizer: str | None = None,
        url: str = "",
    ) -> Tested:
        """Compresses under a policy. Raises NotPossible."""

        def work(models: Models) -> Abridged:
            return abridge(
                text,
                policy,
                count=self.counter(model, tokenizer),
                question=question or None,
                scorer=models.scorer(policy),
                encoder=models.encoder(policy),
                classifier=models.classifier(policy, bare),
                reranker=models.reranker(policy),
            )

        found, said, spent = await self.aside(work)
        result = self.told(found, policy.compressor, model, url, spent, said)
        return Tested(abridged=found, result=result)

    async def aside(self, work: Callable[[Models], T]) -> tuple[T, Said, float]:
        """What `work` returns, what the models that it got have said, and the milliseconds it
        took. Raises NotPossible, and BadCall as `work` does."""
        overheard: list[Overheard | OverheardClassifier] = []

        def scorer(policy: Policy) -> Callable[[], Scorer] | None:
            load = self.models.scorer(policy)
            return None if load is None else lambda: self._heard(Overheard(load()), overheard)

        def classifier(policy: Policy, wrap: Wrap) -> Callable[[], Classifier | None]:
            load = self.models.classifier(policy, wrap)

            def heard() -> Classifier | None:
                ready = load()
                return ready and self._heard(OverheardClassifier(ready), overheard)

            return heard

        listening = replace(self.models, scorer=scorer, classifier=classifier)

        def timed(_: Callable[[], None]) -> tuple[T, float]:
            start = time.perf_counter()
            found = work(listening)
            return found, (time.perf_counter() - start) * 1000

        try:
            found, spent = await self.workers.run(timed, seconds=SECONDS)
        except QueueFull:
            raise NotPossible("too many trials are under way; try again in a moment") from None
        except (DeadlineMissed, Cancelled):
            raise NotPossible(f"it took longer than {SECONDS:g} s") from None
        except BadCall:
            raise
        except Exception as error:  # NoScorer, ScorerLoading: what lacks is said in words
            raise NotPossible(f"{type(error).__name__}: {error}") from None
        said = {text: scores for one in overheard for text, scores in one.said.items()}
        return found, said, spent

    def _heard(self, one: M, overheard: list[Any]) -> M:
        overheard.append(one)
        return one

    def told(
        self,
        found: Abridged,
        compressor: str,
        model: str,
        url: str,
        spent: float,
        said: Said,
    ) -> TrialResult:
        """A compression as the page shows it."""
        compressed = found.compressed
        before, after = sum(compressed.tokens_before), sum(compressed.tokens_after)
        rows = segment_rows(Seen(compressed=compressed, plan=found.plan))
        marked = marked_words(compressed, said)
        segments = [
            TrialSegment(
                **row, found=kept["found"], text=kept["text"], kept=kept["kept"], words=own
            )
            for row, kept, own in zip(rows, kept_segments(compressed), marked, strict=True)
        ]
        return TrialResult(
            is_body=is_body(compressed.prompt.body),
            compressed=found.text,
            segments=segments,
            order=list(compressed.order),
            compressor=compressor,
            scored=(SURPRISE if compressor in SCORED else JUDGED) if said else "",
            tokens_before=before,
            tokens_after=after,
            asked=found.plan.asked,
            model=model,
            nano_usd_before=self.price(model, url, before),
            nano_usd_after=self.price(model, url, after),
            why_whole=found.why_whole,
            milliseconds={"all": round(spent, 2)},
        )

    def price(self, model: str, url: str, tokens: int) -> int | None:
        """Nano-dollars of a prompt as plain input; None: the model has no price."""
        price = self.prices.get(model, url) if model else None
        return (
            None
            if price is None
            else price.rate("input", prompt_tokens=tokens) * tokens // PER_NANO
        )


def marked_words(compressed: Compressed, said: Said) -> list[list[Word]]:
    """The words of each segment: kept or not, and their rank among all that have a score."""
    marked: list[list[Word]] = []
    scored: list[tuple[float, Word]] = []
    for segment, kept in zip(compressed.prompt.segments, compressed.kept, strict=True):
        values = _values(segment.text, said)
        row = []
        for start, end in words(segment.text):
            start = end - len(segment.text[start:end].lstrip())
            if start == end:
                continue
            word = Word(start=start, end=end, kept=_inside(kept, start), score=None)
            found = values[start:end]
            if found.size and not np.isnan(found).all():
                scored.append((float(np.nanmax(found)), word))
            row.append(word)
        marked.append(row)
    order = sorted(range(len(scored)), key=lambda i: scored[i][0])
    for rank, i in enumerate(order):
        scored[i][1]["score"] = round(rank / max(len(scored) - 1, 1), 4)
    return marked


def _values(text: str, said: Said) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A score for each character of a text that was read; NaN elsewhere."""
    values = np.full(len(text), np.nan)
    for read, scores in said.items():
        at = text.find(read)
        if at < 0:
            continue
        for (start, end), score in zip(scores.spans.tolist(), scores.scores.tolist(), strict=True):
            values[at + start : at + end] = score
    return values


def _inside(kept: Sequence[Span], at: int) -> bool:
    return any(start <= at < end for start, end in kept)
