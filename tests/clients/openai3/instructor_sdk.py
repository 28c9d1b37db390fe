"""instructor: answers as objects."""

from __future__ import annotations

from typing import Any

import instructor
import openai
import pytest
from pydantic import BaseModel


class Engineer(BaseModel):
    name: str
    born: int


MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]


def client(ask: Any, mode: Any = MODES[0], **given: Any) -> Any:
    ours = openai.OpenAI(base_url=ask.url, api_key=ask.key, **{"max_retries": 0, **given})
    return instructor.from_openai(ours, mode=mode)


def said(ask: Any, case: str = "say") -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": ask.text(case)}]}


@pytest.mark.parametrize("mode", MODES)
def test_plain(ask: Any, mode: Any) -> None:
    got = client(ask, mode).chat.completions.create(response_model=Engineer, **said(ask))
    assert (got.name, got.born) == ("Fowler", 7)
    assert ask.is_cut(str(ask.came()[-1]["body"]["messages"]))


@pytest.mark.parametrize("mode", MODES)
def test_streamed(ask: Any, mode: Any) -> None:
    *_, last = client(ask, mode).chat.completions.create_partial(
        response_model=Engineer, **said(ask)
    )
    assert (last.name, last.born) == ("Fowler", 7)


@pytest.mark.parametrize(
    ("case", "status"), [("fail-401", 401), ("fail-402", 402), ("fail-429", 429), ("fail-500", 500)]
)
def test_errors(ask: Any, case: str, status: int) -> None:
    with pytest.raises(Exception, match=f"the upstream says {status}"):
        client(ask).chat.completions.create(
            response_model=Engineer, max_retries=0, **said(ask, case)
        )


def test_retries(ask: Any) -> None:
    ours = client(ask, max_retries=2)
    got = ours.chat.completions.create(response_model=Engineer, **said(ask, "fail-500-once"))
    assert got.born == 7
    assert len(ask.came()) == 2
