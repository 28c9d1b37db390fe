"""A draft gathers pieces and knows which of them nothing has decided about."""

from __future__ import annotations

from unabridged.compression.draft import Draft


def test_pieces_are_gathered_in_their_order_and_empty_ones_are_none() -> None:
    draft = Draft(text="Read this. One. Two.", system=False)
    draft.add_loose(0, 11)
    draft.add("document", 11, 11, "nothing")
    draft.add("document", 11, 20, "marked")
    draft.add_loose(20, 20)
    assert [(p.kind, p.start, p.end) for p in draft.pieces] == [
        ("instruction", 0, 11),
        ("document", 11, 20),
    ]
    assert draft.loose == [0]
    assert draft.has("question", "document")
    assert not draft.has("question")
