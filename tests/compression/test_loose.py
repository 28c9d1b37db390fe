"""Where no mark tells, the place and the words of a text do."""

from __future__ import annotations

import pytest

from unabridged.compression.draft import Draft
from unabridged.compression.loose import judge_loose

STORY = "The lighthouse keeper rowed out at dawn and counted the gulls on the rocks. " * 12


def judged(*parts: str, documents: tuple[int, ...] = (), system: bool = False) -> Draft:
    """A draft of these parts, of which some are marked documents and the others loose."""
    draft = Draft(text="".join(parts), system=system)
    at = 0
    for number, part in enumerate(parts):
        if number in documents:
            draft.add("document", at, at + len(part), "marked")
        else:
            draft.add_loose(at, at + len(part))
        at += len(part)
    judge_loose(draft)
    return draft


def kinds(draft: Draft) -> list[tuple[str, str]]:
    return [(p.kind, draft.text[p.start : p.end].strip()[:12]) for p in draft.pieces]


def test_what_follows_the_documents_is_the_question_and_white_space_is_format() -> None:
    draft = judged("Read.\n", STORY, "\n\n", STORY, "Who rowed out", documents=(1, 3))
    assert kinds(draft) == [
        ("instruction", "Read."),
        ("document", STORY[:12]),
        ("format", ""),
        ("document", STORY[:12]),
        ("question", "Who rowed ou"),
    ]


@pytest.mark.parametrize(
    ("before", "asks"),
    [
        ("Be brief.\n\nWho rowed out?\n\n", "Who rowed out?"),
        ("간단히 답하라.\n\n누가 노를 저었나?\n\n", "누가 노를 저었나?"),
        ("简短回答。\n\n谁划船出去了？\n\n", "谁划船出去了？"),
        ("أجب باختصار.\n\nمن خرج بالقارب؟\n\n", "من خرج بالقارب؟"),
    ],
)
def test_in_front_of_documents_the_paragraph_that_asks_is_the_question(
    before: str, asks: str
) -> None:
    draft = judged(before, STORY, documents=(1,))
    (question,) = [p for p in draft.pieces if p.kind == "question"]
    assert draft.text[question.start : question.end].strip() == asks
    assert "".join(draft.text[p.start : p.end] for p in draft.pieces) == draft.text


def test_a_long_text_behind_a_request_is_a_document() -> None:
    draft = judged(f"Summarise the following story in one sentence.\n\n{STORY}")
    assert [kind for kind, _ in kinds(draft)][-1] == "document"


def test_what_is_to_be_translated_is_kept_whole() -> None:
    draft = judged("Translate the text into French.\n\n", STORY, documents=(1,))
    (text,) = [p for p in draft.pieces if p.kind == "document"]
    assert text.protected
    assert "needs every word" in text.why


def test_a_system_message_is_asked_nothing() -> None:
    draft = judged("You are brief. Are you?", system=True)
    assert [kind for kind, _ in kinds(draft)] == ["instruction"]
