"""litellm keeps to itself."""

from __future__ import annotations

import logging

import pytest

from unabridged.proxy.litellm_loading import LOGGERS, load_litellm


def test_what_litellm_logs_is_heard_by_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    litellm = load_litellm()
    for name in LOGGERS:
        logging.getLogger(name).critical("Error in rerank: codeword")
    assert (litellm.suppress_debug_info, litellm.telemetry) == (True, False)
    assert capfd.readouterr() == ("", "")
