"""Every error of ours has its status and the four fields that clients of the API expect."""

from __future__ import annotations

import json

import pytest

from unabridged.proxy import errors
from unabridged.proxy.errors import TABLE, TooLarge, envelope, kind
from unabridged.proxy.refusal import OverCap, Refusal


@pytest.mark.parametrize(
    "cause", [c for c in TABLE if c.__name__ != "NotAllowed" and not issubclass(c, Refusal)]
)
def test_every_cause_fills_the_envelope(cause: type[Exception]) -> None:
    said = json.loads(envelope(cause("what to do")))
    assert list(said) == ["error"]
    assert set(said["error"]) == {"message", "type", "param", "code"}
    assert said["error"]["message"]
    assert 400 <= kind(cause("x")).status <= 599


def test_every_cause_that_is_told_stands_in_the_table() -> None:
    own = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)}
    assert own - set(TABLE) == {errors.ClientGone, Refusal}


def test_no_status_makes_clients_repeat_what_cannot_work() -> None:
    # Clients of the API repeat 408, 409, 429 and everything from 500 on.
    passing = ("Upstream", "MoneyDown", "ShuttingDown")
    mine = [told for cause, told in TABLE.items() if not cause.__name__.startswith(passing)]
    assert {told.status for told in mine} == {400, 401, 402, 403, 404, 413, 500}


def test_a_refusal_for_money_has_fields_for_programs() -> None:
    error = OverCap("x-unabridged-max-cost", "$0.01", "100 prompt tokens")
    said = json.loads(envelope(error))["error"]
    assert (said["type"], said["code"]) == ("insufficient_quota", "request_cap_exceeded")
    assert said["metadata"]["cap"] == "$0.01"
    assert kind(error).status == 402


def test_what_an_unforeseen_error_says_is_not_repeated() -> None:
    assert b"secret" not in envelope(ValueError("secret"))
    assert b"5000 bytes" in envelope(TooLarge("5000 bytes"))
