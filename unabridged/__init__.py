"""unabridged: prompts leave abridged; answers come back unabridged.

import unabridged

short = unabridged.compress(text, question="When was it built?", rate=0.3)
answer = unabridged.recover(text, short.text, answer).text
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unabridged.abridge import Abridged
    from unabridged.prompt_compressor import PromptCompressor
    from unabridged.recovery.restore import Recovered

__version__ = "0.1.0"
__all__ = ["PromptCompressor", "compress", "recover", "version"]

version = __version__


def compress(prompt: str, **wanted: Any) -> Abridged:
    """Shorten a text, or a request body as JSON; `.text` of the result is what is left.

    Takes `question`, `rate` or `tokens`, `compressor`, `model`, `scorer` and `encoder`, as
    `unabridged.abridge.compress_prompt` does; without a `scorer` or an `encoder`, the default one
    is used if its weights are on this machine.
    """
    from unabridged.abridge import compress_prompt, policy_for
    from unabridged.proxy.installed import installed, installed_classifier, installed_encoder

    if wanted.get("scorer") is None:
        wanted["scorer"] = installed(policy_for(wanted.get("compressor", "auto")).scorer)
    if wanted.get("encoder") is None:
        wanted["encoder"] = installed_encoder(policy_for(wanted.get("compressor", "auto")).encoder)
    if wanted.get("classifier") is None:
        policy = policy_for(wanted.get("compressor", "auto"))
        wanted["classifier"] = installed_classifier(policy.classifier)
    return compress_prompt(prompt, **wanted)


def recover(original: str, compressed: str, response: str) -> Recovered:
    """Give an answer its original wording back: `.text`, and `.edits` that say what changed."""
    from unabridged.recovery.recover import recover as restore

    return restore(original, compressed, response)


def __getattr__(name: str) -> Any:
    if name == "PromptCompressor":
        from unabridged.prompt_compressor import PromptCompressor

        return PromptCompressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
