"""Which sentences answer a question, judged by words, by meaning and by links between documents.

Three signals say how near a document or a sentence is to the question: BM25, the cosine of its
vector, and whether the question names the document. What answers a question of two steps (`where
was the director of X born`) is near to none of them, so a document also inherits from those that
name it or that it names. Then sentences are chosen one after the other: a word of the question
that a chosen sentence holds counts less for the next ones, and so does a document that has given
one already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from unabridged.compression.names import mentions, name, titles
from unabridged.compression.rank import Corpus, terms

Vector = NDArray[np.float64]

WORDS = 0.5
"""Weight of BM25, of the documents and of the sentences, in standard deviations."""
MEANING = 0.5
"""Weight of the cosine of the vectors, of the documents and of the sentences."""
NAMED = 1.0
"""What a document gains when the question names it."""
LINKED = 1.0
"""Share of a document's own worth that goes to the documents it names."""
LINKING = 0.3
"""Share that goes to the documents that name it."""
JUDGED = 0.25
"""Weight of what a model says that reads question and document together."""
FIRST = 0.2
"""What the first sentence of a document gains: it says what the rest is about."""
COVERED = 0.3
"""What a word of the question is still worth after a sentence that holds it was chosen."""
AGAIN = 0.4
"""What a document loses with each of its sentences that is chosen."""
PICKED = 80
"""Sentences that are chosen one after the other; the rest by what they are worth then."""

_LABEL = regex.compile(r"^\s*[\p{L}\p{M}]{1,20}\s*[:：](?=\s|$)", regex.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """Documents and their sentences as a ranker sees them."""

    sentences: Sequence[str]
    documents: NDArray[np.intp]
    """Shape (sentences,): the document each one stands in, in order."""
    heads: Sequence[str]
    """What stands in front of each document and holds its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """Cosines with the question, and what a model thinks of both."""

    documents: Vector
    """Shape (documents,)."""
    sentences: Vector
    """Shape (sentences,)."""
    judged: Vector | float = 0.0
    """What a model that reads question and document together makes of each sentence's block, in
    standard deviations; shape (sentences,), or 0 where none was asked."""


def asked(question: str) -> str:
    """The question without labels such as `Question:` and a bare `Answer:`."""
    return _LABEL.sub(" ", question).strip() or question.strip()


def rank(question: str, passages: Passages, near: Nearness) -> Vector:
    """A rank for each sentence, higher is better; ties go to the earlier one."""
    of, count = passages.documents, len(passages.heads)
    if not len(of):
        return np.zeros(0)
    called = [name(title) for title in titles(passages.heads)]
    found = [terms(sentence) for sentence in passages.sentences]
    spaced = [f" {' '.join(each)} " for each in found]
    bags = [Counter(each) for each in found]
    whole = [Counter(terms(head)) for head in passages.heads]
    for document, bag in zip(of, bags, strict=True):
        whole[document].update(bag)
    wanted = terms(asked(question))
    phrase = f" {' '.join(wanted)} "
    named = np.array([float(bool(n.whole) and n.whole in phrase) for n in called])
    links = mentions(called, spaced, of)
    step = _Steps(
        of=of,
        sentence_words=_shares(wanted, bags),
        document_words=_shares(wanted, whole),
        documents=MEANING * _standard(near.documents) + NAMED * named,
        sentences=MEANING * _standard(near.sentences) + FIRST * _firsts(of) + JUDGED * near.judged,
        inherited=np.zeros(count),
    )
    own = step.documents + WORDS * _standard(step.document_words.sum(axis=0))
    between = np.zeros((count, count))
    np.maximum.at(between, of, links)
    step.inherited = _inherited(own, between)
    return step.choose()


def _inherited(own: Vector, between: NDArray[np.float64]) -> Vector:
    """What documents get from those they are linked with; `between[a, b]`: a names b."""
    worth = np.maximum(own, 0)[:, None]
    forward = (between * worth).max(axis=0, initial=0.0)
    backward = (between.T * worth).max(axis=0, initial=0.0)
    inherited: Vector = np.maximum(LINKED * forward, LINKING * backward)
    return inherited


@dataclass(slots=True, kw_only=True)
class _Steps:
    """Chooses one sentence after the other."""

    of: NDArray[np.intp]
    sentence_words: NDArray[np.float64]
    """Shape (words of the question, sentences): what each is worth by BM25."""
    document_words: NDArray[np.float64]
    documents: Vector
    """What a document is worth whatever was chosen."""
    sentences: Vector
    inherited: Vector

    def choose(self) -> Vector:
        words = len(self.sentence_words)
        worth, given = np.ones(words), np.zeros(len(self.documents))
        left = np.ones(len(self.of), dtype=bool)
        ranks = np.zeros(len(self.of))
        for place in range(min(PICKED, len(self.of))):
            now = self._worth(worth, given)
            best = int(np.where(left, now, -np.inf).argmax())
            left[best] = False
            ranks[best] = 1000.0 - place
            given[self.of[best]] += AGAIN
            worth = np.where(self.sentence_words[:, best] > 0, np.minimum(worth, COVERED), worth)
        ranks[left] = self._worth(worth, given)[left]
        return ranks

    def _worth(self, worth: Vector, given: Vector) -> Vector:
        documents = self.documents + self.inherited - given
        documents = documents + WORDS * _like(worth, self.document_words)
        sentences = self.sentences + WORDS * _like(worth, self.sentence_words)
        # Rounded, so that what differs by the order of additions alone is a tie.
        return np.round(documents[self.of] + sentences, 6)


def _shares(wanted: Sequence[str], bags: Sequence[Counter[str]]) -> NDArray[np.float64]:
    """BM25 of each word of the question in each bag; shape (words, bags)."""
    corpus = Corpus(bags)
    rows = [corpus.scores([word]) for word in dict.fromkeys(wanted)]
    return np.array(rows) if rows else np.zeros((0, len(bags)))


def _like(worth: Vector, words: NDArray[np.float64]) -> Vector:
    """BM25 with words weighed by `worth`, in the standard deviations of the full BM25."""
    if not len(words):
        return np.zeros(words.shape[1])
    full = words.sum(axis=0)
    spread = full.std()
    return (worth @ words - full.mean()) / spread if spread > 1e-9 else np.zeros(len(full))


def _standard(values: Vector) -> Vector:
    spread = values.std() if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def _firsts(of: NDArray[np.intp]) -> Vector:
    """1 for the first sentence of each document."""
    return np.concatenate([[1.0], (of[1:] != of[:-1]).astype(np.float64)])
