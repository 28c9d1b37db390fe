"""The texts of a request of the older completions API: one prompt, or several side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from unabridged.compression.body import Body, Text
from unabridged.compression.speech import Speech, by_index, forced, spoken
from unabridged.policies.policy import Kind


def speeches(body: Body, kinds: Mapping[int, Kind]) -> Iterator[Speech]:
    """The prompts that are text; those that are tokens are not looked into. Each is a turn of
    its own, with a question and a budget of its own."""
    prompts = body.tree.get("prompt")
    texts = prompts if isinstance(prompts, list) else [prompts]
    by_number = by_index(kinds, len(texts))
    why = _why_whole(body)
    for index, text in enumerate(texts):
        if isinstance(text, Text):
            speech = spoken(text, role="user", turn=index)
            yield speech.kept(why) if why else forced(speech, by_number.get(index))


def _why_whole(body: Body) -> str:
    if body.scalar("echo") is True:
        return "echo: the answer repeats the prompt as it was sent"
    if body.value("suffix"):
        return "suffix: the answer fills the gap behind the prompt"
    return ""
