"""How surprising each token of a text is: the seam behind which the models live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """One score for each token of a text, with the characters the token stands for."""

    spans: NDArray[np.int32]
    """Shape (tokens, 2): start and end of each token in the text, in characters."""
    scores: NDArray[np.float32]
    """Shape (tokens,): negative log-likelihood of each token in nats, given what precedes it.
    A score belongs to its own token, not to the one before."""


class Scorer(Protocol):
    """Batched and synchronous; called in a worker thread, never on the event loop."""

    @property
    def revision(self) -> str:
        """Names the weights and everything else that the scores depend on; part of cache keys."""
        ...

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        """Score every token of `texts`, text i given `conditions[i]` in front of it (no
        conditions: each text stands alone). Only the tokens of the text are returned."""
        ...
