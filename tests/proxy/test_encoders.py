"""An encoder serves once it is loaded; until then, and without weights, there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from unabridged.compression.encoder import Encoded, HashedEncoder
from unabridged.compression.prompt import Span
from unabridged.policies.policy import Policy
from unabridged.proxy.encoders import Encoders


class Counting(HashedEncoder):
    def __init__(self) -> None:
        self.read: list[str] = []

    def passages(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> list[Encoded]:
        self.read += texts
        return super().passages(texts, spans, checkpoint)


def test_an_encoder_is_given_once_it_is_loaded_and_remembers_passages(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    policy, inner = Policy(encoder=f"path:{tmp_path}"), Counting()
    encoders = Encoders(tmp_path, lambda _: inner)
    assert encoders.of(policy)() is None
    assert encoders.revision(policy) == ""
    encoders.begin(policy)
    end = time.monotonic() + 3
    while encoders.loading:
        assert time.monotonic() < end
        time.sleep(0.005)
    encoder = encoders.of(policy)()
    assert encoder is not None
    assert HashedEncoder.revision in encoders.revision(policy)
    for _ in range(2):
        encoder.passages(["Cats sleep."], [()])
    assert inner.read == ["Cats sleep."]


def test_a_policy_may_do_without(tmp_path: Path) -> None:
    encoders = Encoders(tmp_path, lambda _: HashedEncoder())
    for policy in (Policy(encoder=None), Policy()):
        encoders.begin(policy)
        assert encoders.of(policy)() is None
        assert encoders.revision(policy) == ""
        assert encoders.loading == []
