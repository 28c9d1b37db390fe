"""How well passages answer a question, without a model."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

import bm25s
import numpy as np
import regex
from numpy.typing import NDArray

Ranker = Callable[[str, Sequence[str]], NDArray[np.float64]]
"""(question, passages) -> one score for each passage, higher is better."""

_RUN = regex.compile(
    r"(?P<han>[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々ー]+)"
    r"|(?P<hangul>\p{Hangul}+)"
    r"|(?P<number>\p{N}+(?:[.,]\p{N}+)*)"
    r"|(?P<word>[\p{L}\p{M}]+)"
)
_MARKS = regex.compile(r"[\u064b-\u065f\u0670\u0640\u0300-\u036f]")
_JOSA = regex.compile(
    r"(?<=..)(?:에게서|으로서|으로써|에서는|에서|에게|으로|부터|까지|처럼|보다|이라고|라고|이나|이란|과|와|은|는|이|가|을|를"
    r"|의|에|도|로|만|께|들)$"
)
_STOP_WORDS = (
    "a an the of to in on at by for from with and or is are was were be been being do does did "
    "what which who whom whose when where why how that this these those it its as has have had "
    "i you he she they we him her them his their there than then if but so into about "
    "der die das den dem des ein eine einer eines und oder ist sind war waren wer wie wo wann "
    "warum welche welcher welches von zu im in am auf mit für was wurde wurden "
    "el la los las un una unos unas de del y o es son fue fueron qué quién quiénes cómo cuándo "
    "dónde cuál cuáles que en con por para se su al "
    "le les des du et ou est sont qui quoi où quand comment quel quelle dans pour par sur ce "
    "и или в во на с со к о об от до за по из у что кто как где когда какой какая какие какое "
    "чем это был была были было не "
    "في من على إلى عن هو هي ما هل متى أين كيف التي الذي كان كانت أن و"
)
_STOP = frozenset(_STOP_WORDS.split())
_K1, _B = 1.2, 0.75


def terms(text: str) -> list[str]:
    """What a text is searched by: stems of words, numbers, and character pairs where a script
    writes no spaces or, as Korean does, glues particles to its words."""
    found: list[str] = []
    for match in _RUN.finditer(text.casefold()):
        run, kind = match[0], match.lastgroup
        if kind == "han":
            found.extend(_pairs(run))
        elif kind == "hangul":
            stem = _JOSA.sub("", run)
            found.append(stem)
            if len(stem) > 2:
                found.extend(_pairs(stem))
        elif kind == "number":
            found.append(run)
        else:
            stem = _stem(run)
            if stem:
                found.append(stem)
    return found


class Corpus:
    """Passages as bags of terms, indexed once and asked often (Okapi BM25, by bm25s)."""

    def __init__(self, passages: Sequence[Counter[str]]) -> None:
        self._passages = len(passages)
        # bm25s takes no corpus without a single term.
        self._index = bm25s.BM25(k1=_K1, b=_B) if any(passages) else None
        if self._index is not None:
            self._index.index([list(bag.elements()) for bag in passages], show_progress=False)

    def scores(self, question: Sequence[str]) -> NDArray[np.float64]:
        """One score for each passage; terms that no passage has count nothing."""
        known = [t for t in question if self._index is not None and t in self._index.vocab_dict]
        if not known or self._index is None:
            return np.zeros(self._passages)
        return np.asarray(self._index.get_scores(known), dtype=np.float64)


def bm25(question: str, passages: Sequence[str]) -> NDArray[np.float64]:
    """BM25 of each passage as a document of the corpus that they form together."""
    return weigh(terms(question), [Counter(terms(passage)) for passage in passages])


def weigh(question: Sequence[str], passages: Sequence[Counter[str]]) -> NDArray[np.float64]:
    """BM25 over terms that are there already; shape (passages,)."""
    return Corpus(passages).scores(question)


def gzip(question: str, passages: Sequence[str]) -> NDArray[np.float64]:
    """How much less room question and passage need packed together than apart (minus their
    normalised compression distance)."""
    asked = _packed(question)
    scores = []
    for passage in passages:
        alone, both = _packed(passage), _packed(f"{question} {passage}")
        scores.append((min(asked, alone) - both) / max(asked, alone))
    return np.array(scores, dtype=np.float64)


def _packed(text: str) -> int:
    return len(zlib.compress(text.encode("utf-8", "surrogatepass"), 9))


RANKERS: dict[str, Ranker] = {"bm25": bm25, "gzip": gzip}
"""Those that need nothing but the texts."""


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """A light stem: endings of number and person go, so that `invented` finds `invention`.
    Empty for a word that only holds a sentence together."""
    if word in _STOP:
        return ""
    word = _MARKS.sub("", word)
    if word.isascii():
        for ending in ("ization", "ations", "ation", "ingly", "ments", "ment", "ities", "ions",
                       "ings", "ness", "able", "ion", "ity", "ies", "ing", "ied", "ers", "ed",
                       "er", "es", "ly", "or", "al", "s", "e", "y"):  # fmt: skip
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                return word[: -len(ending)]
        return word
    if "\u0600" <= word[0] <= "\u06ff":
        for start in ("وال", "بال", "كال", "فال", "لل", "ال", "و", "ب", "ل"):
            if word.startswith(start) and len(word) - len(start) >= 3:
                word = word[len(start) :]
                break
        for ending in ("ها", "ات", "ان", "ين", "ون", "ية", "ه", "ة", "ي"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                return word[: -len(ending)]
        return word
    # Russian and others inflect at the end, by several letters: the beginning is a fair stem.
    return word[:5]


def order(scores: NDArray[np.float64]) -> list[int]:
    """Indexes by falling score, ties by position."""
    return [int(i) for i in np.argsort(-scores, kind="stable")]
