"""The encoder is asked only where it can help in time, and the reason says what was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from unabridged.compression.auto import auto
from unabridged.compression.encoder import Encoded, Encoder, HashedEncoder
from unabridged.compression.extractive import by_words
from unabridged.compression.job import Cancelled, Job
from unabridged.compression.kept import extract
from unabridged.compression.meaning import TOKENS_PER_MS, by_meaning
from unabridged.compression.prompt import Segment, Span, Where
from unabridged.compression.select import Unit
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Policy

COUNT = counter("gpt-4o")
TEXTS = [
    ("Tides", "The tides rise twice a day. Nobody wrote them down."),
    ("Bridge", "The bridge opened in 1932. It was painted red."),
    ("Cats", "Cats sleep. They also eat."),
]


class Watched(HashedEncoder):
    def __init__(self) -> None:
        self.read: list[str] = []

    def reads(self, text: str) -> bool:
        return text.isascii()

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        self.read += texts
        return super().passages(texts, spans, checkpoint)


def job(
    question: str,
    encoder: Encoder | None,
    *,
    tokens: int = 12,
    deadline_ms: int = 1500,
    texts: Sequence[tuple[str, str]] = TEXTS,
) -> Job:
    heads = [f"[{i}] {title}: " for i, (title, _) in enumerate(texts)]
    where = Where(path=("x",), start=0)
    return Job(
        segments=tuple(
            Segment(kind="document", text=f"{head}{text}\n", where=where, head=len(head), tail=1)
            for head, (_, text) in zip(heads, texts, strict=True)
        ),
        question=question,
        tokens=tokens,
        count=COUNT,
        policy=Policy(deadline_ms=deadline_ms),
        encoder=lambda: encoder,
    )


def units(work: Job) -> list[Unit]:
    found = []
    for i, segment in enumerate(work.segments):
        start, end = segment.content
        middle = segment.text.index(". ", start) + 1
        found += [Unit(i, start, middle), Unit(i, middle, end)]
    return found


def test_documents_are_read_once_behind_their_titles():
    encoder = Watched()
    work = job("When was the bridge opened?", encoder)
    ranks, why = by_meaning(work, units(work))
    assert encoder.read == [f"{title}. {text}" for title, text in TEXTS]
    assert int(ranks.argmax()) == 2
    assert why == "sentences by BM25, meaning and links"


@pytest.mark.parametrize(
    ("question", "encoder", "said"),
    [
        ("When was the bridge opened?", None, "BM25 against the question"),
        ("", Watched(), "nothing is asked"),
        ("다리는 언제 열렸습니까?", Watched(), "does not know this language"),
    ],
)
def test_words_decide_where_the_encoder_cannot_help(
    question: str, encoder: Encoder | None, said: str
):
    work = job(question, encoder)
    ranks, why = by_meaning(work, units(work))
    assert ranks.tolist() == by_words(work, units(work))[0].tolist()
    assert said in why
    assert not isinstance(encoder, Watched) or not encoder.read


def test_what_is_too_long_for_the_deadline_is_ranked_by_words():
    encoder = Watched()
    enough = int(sum(COUNT(text + "\n") for _, text in TEXTS) / TOKENS_PER_MS) + 1
    work = job("When was the bridge opened?", encoder, deadline_ms=enough)
    assert by_meaning(work, units(work))[1] == "sentences by BM25, meaning and links"
    hasty = job("When was the bridge opened?", encoder, deadline_ms=enough // 2)
    ranks, why = by_meaning(hasty, units(hasty))
    assert ranks.tolist() == by_words(hasty, units(hasty))[0].tolist()
    assert "too long for the encoder within the deadline" in why
    assert len(encoder.read) == len(TEXTS)


def test_a_client_that_has_gone_stops_the_reading():
    work = job("When was the bridge opened?", HashedEncoder())

    def gone() -> None:
        raise Cancelled

    stopped = Job(
        segments=work.segments, question=work.question, tokens=work.tokens, count=COUNT,
        policy=work.policy, encoder=work.encoder, checkpoint=gone,
    )  # fmt: skip
    with pytest.raises(Cancelled):
        by_meaning(stopped, units(work))


def test_auto_ranks_with_the_encoder_and_names_it():
    work = job("When was the bridge opened?", HashedEncoder(), tokens=18)
    cut = auto(work)
    assert "The bridge opened in 1932." in extract(work.segments[1].text, cut.kept[1])
    assert "meaning and links" in cut.why[1]
