"""A chat model as the teacher, over a real socket: priced first, each reply paid once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_upstream import FakeUpstream, answer, completion

from unabridged.policies.config import Upstream
from unabridged.proxy.chat_teacher import ChatTeacher, TeacherFailed

TEXT = "The harbour master wrote the tides into a book."


def teacher(url: str, place: Path, model: str = "gpt-4o-mini", **more: object) -> ChatTeacher:
    return ChatTeacher(Upstream(url=url), model=model, replies=place / "replies.jsonl", **more)


def test_a_reply_is_asked_for_once_and_outlives_the_process(tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        upstream.reply(completion("harbour master wrote tides"))
        for _ in range(2):
            again = teacher(upstream.url, tmp_path, wait=lambda seconds: None)
            assert again.shorten(TEXT) == "harbour master wrote tides"
            assert again.shorten(TEXT) == "harbour master wrote tides"
        [seen] = upstream.seen
        assert TEXT in seen.json["messages"][0]["content"]
        assert seen.json["model"] == "gpt-4o-mini"
        assert again.estimate([TEXT]).requests == 0


def test_the_price_is_known_before_anything_is_sent(tmp_path: Path) -> None:
    cost = teacher("http://127.0.0.1:9/v1", tmp_path).estimate([TEXT, TEXT, "Another."])
    assert cost.requests == 2
    assert cost.tokens_in > cost.tokens_out > 0
    assert cost.dollars is not None and 0 < cost.dollars < 0.01
    unknown = teacher("http://127.0.0.1:9/v1", tmp_path, model="nobody-s-model").estimate([TEXT])
    assert unknown.dollars is None


def test_requests_keep_the_pace(tmp_path: Path) -> None:
    waits: list[float] = []
    with FakeUpstream() as upstream:
        upstream.reply(completion("a"), completion("b"))
        paced = teacher(upstream.url, tmp_path, per_minute=2, wait=waits.append)
        paced.shorten("one text")
        paced.shorten("other text")
    assert waits[0] == 0 and 25 < waits[1] <= 30


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        upstream.reply(answer(b'{"error": {"message": "busy"}}', status=503), completion("short"))
        assert teacher(upstream.url, tmp_path, wait=lambda s: None).shorten(TEXT) == "short"
        upstream.reply(answer(b'{"error": {"message": "no"}}', status=401))
        with pytest.raises(TeacherFailed, match="run the command again"):
            teacher(upstream.url, tmp_path, wait=lambda s: None).shorten("Another text.")
        assert len(upstream.seen) == 3
