"""Several classifiers as one: for each text the first that knows its language."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unabridged.compression.classifier import ENDS, Classifier, Judged, NoClassifier

Part = Callable[[], Classifier | None]
"""Gives a classifier, loading it when first called, or None while there is none."""


class ByTongue:
    """A Classifier made of others, each loaded when a text first needs it."""

    def __init__(self, parts: Sequence[Part], asking: Part = lambda: None) -> None:
        """`parts` are tried in their order, so the last one should know all languages; `asking`
        reads the question with the texts whose language it knows."""
        self._parts = parts
        self._asking = asking

    @property
    def revision(self) -> str:
        """That of the parts which are there at this moment."""
        ready = [part() for part in (*self._parts[:1], self._asking)]
        return "+".join("" if each is None else each.revision for each in ready)

    @property
    def asks(self) -> bool:
        asking = self._asking()
        return asking is not None and asking.asks

    def reads(self, text: str) -> bool:
        return any(part is not None and part.reads(text) for part in (p() for p in self._parts))

    def judge(
        self,
        texts: Sequence[str],
        questions: Sequence[str] = (),
        *,
        ends: Sequence[str] = ENDS,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Judged]:
        """As the parts' own. All texts are judged with the question, or none is: probabilities
        of different models do not compare. Raises NoClassifier where the part that a text needs
        is not there."""
        asking = self._asking() if questions else None
        if asking is not None and all(asking.reads(text) for text in texts):
            return asking.judge(texts, questions, ends=ends, checkpoint=checkpoint)
        classifier = self._for(texts)
        return classifier.judge(texts, ends=ends, checkpoint=checkpoint)

    def _for(self, texts: Sequence[str]) -> Classifier:
        """The first part that reads most of the texts."""
        whole = "\n".join(texts)
        for part in self._parts:
            classifier = part()
            if classifier is None:
                raise NoClassifier(
                    "the weights for this language are not loaded; `unabridged models pull` "
                    "fetches them"
                )
            if classifier.reads(whole):
                return classifier
        raise NoClassifier("no classifier knows the language of this text")
