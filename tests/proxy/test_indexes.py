"""An index is built once for an owner's prompt while it is kept, and never shared."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unabridged.compression.prompt import Compressed, Path, Prompt, Segment, Where
from unabridged.proxy import indexes
from unabridged.proxy.indexes import Indexes, Keeping


def sent(
    text: str = "The Treaty of Ghent.",
    kept: tuple[int, int] = (0, 10),
    path: Path = (),
    chained: bool = False,
) -> Compressed:
    where = Where(path=path, start=0)
    segment = Segment(kind="document", text=text, where=where, chained=chained)
    return Compressed(
        prompt=Prompt(body=text, segments=(segment,)),
        kept=((kept,),),
        why=("",),
        tokens_before=(9,),
        tokens_after=(4,),
    )


@pytest.fixture
def asked() -> Callable[..., int]:
    """How often an index has been built when one more was asked for."""
    built: list[None] = []
    kept = Indexes()

    def ask(
        compressed: Compressed, owner: str = "a", by_place: bool = False, seconds: int = 9
    ) -> int:
        keeping = Keeping(owner=owner, seconds=seconds)
        index = kept.of(compressed, by_place, lambda: built.append(None) or len(built), keeping)
        assert index <= len(built)
        return len(built)

    return ask


def test_the_same_prompt_again_builds_nothing(asked: Callable[..., int]) -> None:
    assert [asked(sent()), asked(sent()), asked(sent())] == [1, 1, 1]


@pytest.mark.parametrize(
    "other",
    [{"compressed": sent(kept=(0, 9))}, {"compressed": sent("The Treaty of Paris.")},
     {"owner": "b"}, {"by_place": True}, {"compressed": sent(path=("prompt", 1))},
     {"compressed": sent(chained=True)}],
    ids=["cut otherwise", "another text", "another owner", "other citations", "another place",
         "a paragraph of a longer document"],
)  # fmt: skip
def test_whatever_an_index_depends_on_builds_another(
    asked: Callable[..., int], other: dict[str, object]
) -> None:
    assert asked(sent()) == 1
    assert asked(**{"compressed": sent(), **other}) == 2


def test_nothing_is_kept_for_a_policy_that_keeps_nothing(asked: Callable[..., int]) -> None:
    assert [asked(sent(), seconds=0), asked(sent(), seconds=0)] == [1, 2]


def test_the_one_not_asked_for_longest_goes_first(asked: Callable[..., int]) -> None:
    for number in range(indexes.MOST):
        asked(sent(f"Document {number:03}."))
    assert asked(sent("Document 000.")) == indexes.MOST
    assert asked(sent("One more text.")) == indexes.MOST + 1
    assert asked(sent("Document 000.")) == indexes.MOST + 1
    assert asked(sent("Document 001.")) == indexes.MOST + 2


@pytest.mark.parametrize(("seconds", "lives"), [(9, 9), (86_400, indexes.MOST_SECONDS)])
def test_an_index_lives_as_long_as_the_policy_says_but_minutes_at_most(
    seconds: int, lives: int
) -> None:
    now = 0.0
    kept, built = Indexes(clock=lambda: now), []

    def ask() -> int:
        keeping = Keeping(owner="a", seconds=seconds)
        kept.of(sent(), False, lambda: built.append(None), keeping)
        return len(built)

    assert ask() == 1
    now = lives - 1
    assert ask() == 1
    now = lives
    assert ask() == 2
