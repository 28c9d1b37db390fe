"""Errors of ours, in the words of each API."""

from __future__ import annotations

import json

import pytest

from unabridged.proxy.dialect import ANTHROPIC, OPENAI, RESPONSES, Dialect, dialect_of
from unabridged.proxy.errors import BadBody, BadKey, TooLarge, UpstreamDown


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BadBody("x"), "invalid_request_error"),
        (BadKey("x"), "authentication_error"),
        (TooLarge("x"), "request_too_large"),
        (UpstreamDown("x"), "api_error"),
        (ValueError("a secret"), "api_error"),
    ],
)
def test_a_client_of_the_messages_api_gets_its_own_envelope(error: Exception, told: str) -> None:
    said = json.loads(ANTHROPIC.body(error))
    assert said["type"] == "error"
    assert said["error"]["type"] == told
    assert "secret" not in said["error"]["message"]


def test_a_stream_ends_with_an_event_that_its_sdk_raises() -> None:
    error = UpstreamDown("gone")
    plain, response, message = (d.event(error) for d in (OPENAI, RESPONSES, ANTHROPIC))
    assert json.loads(plain.removeprefix(b"data: "))["error"]["message"] == "gone"
    for event in (response, message):
        assert event.startswith(b"event: error\ndata: {")
        assert event.endswith(b"}\n\n")
        said = json.loads(event.split(b"data: ")[1])
        assert (said["type"], said["error"]["message"]) == ("error", "gone")
    assert json.loads(response.split(b"data: ")[1])["message"] == "gone"


def test_the_path_tells_the_dialect() -> None:
    assert dialect_of("/v1/messages/count_tokens") is ANTHROPIC
    assert dialect_of("/v1/responses") is RESPONSES
    assert dialect_of("/v1/messagesque") is OPENAI
    assert dialect_of("/v1/chat/completions") is OPENAI


@pytest.mark.parametrize("dialect", [OPENAI, RESPONSES, ANTHROPIC])
def test_half_a_character_in_an_error_is_told_as_an_escape(dialect: Dialect) -> None:
    error = BadBody("model 'm\ud800'")
    assert json.loads(dialect.body(error))["error"]["message"] == "model 'm\ud800'"
    assert b"m\\ud800" in dialect.event(error)
