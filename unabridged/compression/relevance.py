"""Which sentences of some documents answer a question: a rank for each, without a model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unabridged.compression.rank import Corpus, terms, weigh

DOCUMENT = 0.9
"""What a sentence owes to the document it stands in, its own words being worth 1."""
TITLE = 0.15
"""What it owes to the words of the document's title."""
LINK = 0.5
"""What it owes to the best sentence elsewhere that names the document's title: the second step
of a question such as `where was the director of X born`."""
BESIDE = 0.25
"""What it owes to the sentences before and behind it."""
COVERED = 0.6
"""What a word of the question is still worth after a sentence that holds it was chosen."""
PICKED = 60
"""Sentences that are chosen one after the other with COVERED in mind; the rest by their rank."""

_EVERYWHERE = 0.3
"""A word in more than this share of the titles (`Document`, `Title`) does not name one."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """The sentences of all documents, as the terms they hold."""

    bags: Sequence[Counter[str]]
    """One for each sentence."""
    documents: NDArray[np.intp]
    """Shape (sentences,): the document that each one stands in."""
    titles: Sequence[Counter[str]]
    """One for each document: the terms of its head."""


def read(texts: Sequence[str], documents: Sequence[int], heads: Sequence[str]) -> Sentences:
    """Look up the terms of sentences and heads."""
    return Sentences(
        bags=[Counter(terms(text)) for text in texts],
        documents=np.array(documents, dtype=np.intp),
        titles=[Counter(terms(head)) for head in heads],
    )


def relevance(question: str, sentences: Sentences) -> tuple[Vector, str]:
    """A rank for each sentence, higher is better, and by what it was ranked.

    BM25 of the sentence and of its document, of the title, and of sentences elsewhere that name
    the title; a question's word that a chosen sentence holds counts less for the next ones. If
    nothing is asked, or no sentence holds a word of it: the first sentence of each document, then
    the second of each, which keeps more of what is later asked for than ranking by the terms that
    sentences share or by rare ones.
    """
    asked = terms(question)
    own = _scaled(weigh(asked, sentences.bags))
    if not own.any():
        reason = "no word of the question is there" if question.strip() else "nothing is asked"
        return _from_the_top(sentences.documents), f"the first sentences of each ({reason})"
    of, titles = sentences.documents, sentences.titles
    documents = [Counter(title) for title in titles]
    for document, bag in zip(of, sentences.bags, strict=True):
        documents[document].update(bag)
    base = DOCUMENT * _scaled(weigh(asked, documents))[of]
    base += TITLE * _scaled(weigh(asked, titles))[of]
    base += BESIDE * _beside(own, of)
    base += LINK * _scaled(_links(own + base, sentences))[of]
    return _covering(asked, own, base, sentences.bags), "sentences by BM25 against the question"


def _from_the_top(documents: NDArray[np.intp]) -> Vector:
    """For each sentence minus its place in its document."""
    places: Counter[int] = Counter()
    ranks = np.zeros(len(documents))
    for i, document in enumerate(documents.tolist()):
        ranks[i] = -places[document]
        places[document] += 1
    return ranks


def _scaled(scores: Vector) -> Vector:
    top = scores.max(initial=0.0)
    return scores / top if top > 0 else scores


def _beside(own: Vector, of: NDArray[np.intp]) -> Vector:
    """For each sentence the scores of its two neighbours in the same document."""
    beside = np.zeros_like(own)
    same = of[1:] == of[:-1]
    beside[1:] += np.where(same, own[:-1], 0)
    beside[:-1] += np.where(same, own[1:], 0)
    return beside


def _links(scores: Vector, sentences: Sentences) -> Vector:
    """For each document the score of the best sentence elsewhere that names its title."""
    common = Counter(term for title in sentences.titles for term in title)
    most = max(2, _EVERYWHERE * len(sentences.titles))
    holding: dict[str, list[int]] = defaultdict(list)
    for i, bag in enumerate(sentences.bags):
        for term in bag:
            holding[term].append(i)
    links = np.zeros(len(sentences.titles))
    for document, title in enumerate(sentences.titles):
        # The number of a passage is no part of its name.
        name = {t for t in title if common[t] <= most and not (t.isdigit() and len(t) < 3)}
        if not name:
            continue
        rarest = min(name, key=lambda term: (len(holding.get(term, ())), term))
        for i in holding.get(rarest, ()):
            if sentences.documents[i] != document and name <= sentences.bags[i].keys():
                links[document] = max(links[document], scores[i])
    return links


def _covering(
    asked: Sequence[str], own: Vector, base: Vector, bags: Sequence[Counter[str]]
) -> Vector:
    """Ranks after choosing one sentence after the other, each for what the question still wants."""
    wanted = sorted(set(asked))
    corpus = Corpus(bags)
    parts = np.array([corpus.scores([term]) for term in wanted])
    parts /= max(parts.sum(axis=0).max(), 1e-9)
    held = parts > 0
    ranks = own + base
    left = np.ones(len(bags), dtype=bool)
    worth = np.ones(len(wanted))
    for place in range(min(PICKED, len(bags))):
        best = int(np.where(left, worth @ parts + base, -np.inf).argmax())
        left[best] = False
        ranks[best] = 1000.0 - place
        worth = np.where(held[:, best], worth * COVERED, worth)
    return ranks
