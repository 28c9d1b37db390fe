"""The requests that are looked into, by path; all others pass through as they are."""

from __future__ import annotations

from dataclasses import dataclass

from unabridged.proxy.request import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One kind of request. How its texts are found and its answers read stands in tables that
    know it by its name: body.SURFACES, split.SPEECHES, said.ANSWERS and streams.STREAMS."""

    name: str
    generates: bool = True
    """False: it only counts the tokens of a prompt; there is no answer to restore or to pay."""


SURFACES: dict[str, Surface] = {
    PREFIX + "/chat/completions": Surface(name="chat"),
    PREFIX + "/completions": Surface(name="completions"),
    PREFIX + "/responses": Surface(name="responses"),
    PREFIX + "/responses/input_tokens": Surface(name="responses", generates=False),
    PREFIX + "/messages": Surface(name="messages"),
    PREFIX + "/messages/count_tokens": Surface(name="messages", generates=False),
}


def surface_of(method: str, path: str) -> Surface | None:
    """The surface of a request; None: it is relayed."""
    return SURFACES.get(path) if method == "POST" else None
