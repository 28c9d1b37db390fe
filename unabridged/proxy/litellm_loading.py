"""Loads litellm so that it fetches nothing and prints nothing: it logs what providers say."""

from __future__ import annotations

import logging
import os
from typing import Any

LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")


def load_litellm() -> Any:
    """The module; takes seconds, once."""
    # Its map of prices would be fetched from the network when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    for name in LOGGERS:
        # It logs refusals and chunks of answers, which hold stretches of the prompt.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm
