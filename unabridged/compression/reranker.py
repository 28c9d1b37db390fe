"""How well each passage answers a question, judged by a model that reads both: the seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Reranker(Protocol):
    """Batched and synchronous; called in a worker thread, never on the event loop."""

    @property
    def revision(self) -> str:
        """Names the weights and everything else that the scores depend on; part of cache keys."""
        ...

    def scores(
        self,
        question: str,
        passages: Sequence[str],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float64]:
        """One number for each passage, higher is better; they may not mean the same for another
        question. `checkpoint` is called between batches and may raise to stop the work."""
        ...
