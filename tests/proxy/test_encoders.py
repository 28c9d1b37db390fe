"""An encoder serves once it is loaded; until then, and without weights, there is none."""

from __future__ import annotations

import time
from pathlib import Path

from unabridged.compression.encoder import HashedEncoder
from unabridged.policies.policy import Policy
from unabridged.proxy.encoders import Encoders


def test_an_encoder_is_given_once_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    policy, inner = Policy(encoder=f"path:{tmp_path}"), HashedEncoder()
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
    assert encoder is inner


def test_a_policy_may_do_without(tmp_path: Path) -> None:
    encoders = Encoders(tmp_path, lambda _: HashedEncoder())
    for policy in (Policy(encoder=None), Policy()):
        encoders.begin(policy)
        assert encoders.of(policy)() is None
        assert encoders.revision(policy) == ""
        assert encoders.loading == []
