"""One prompt from beginning to end, without a model."""

from __future__ import annotations

import json

import pytest

from unabridged.abridge import (
    BadTarget,
    abridge,
    compress_prompt,
    is_body,
    model_of,
    policy_for,
    record,
)
from unabridged.compression.compress import UnknownCompressor
from unabridged.policies.policy import Policy

TEXT = """Answer with the documents.

Document [1](Title: Forth Bridge) The Forth Bridge was designed by John Fowler and Benjamin Baker. \
Work began in 1882. The last rivet was driven home on 4 March 1890. It holds 6.5 million rivets.
Document [2](Title: Tay Bridge) The Tay Bridge was opened in June 1878. It fell in a storm. A \
second one was opened in 1887 and still stands beside the stumps of the old piers.

Question: Who designed the Forth Bridge?
"""
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": TEXT}], "n": 1.0})


def words(text: str) -> int:
    return len(text.split())


def test_a_text_gets_shorter_and_keeps_its_question() -> None:
    short = abridge(TEXT, Policy(compressor="extractive", rate=0.5, min_tokens=0), count=words)
    assert words(short.text) <= words(TEXT) / 2 + 1
    assert "Question: Who designed the Forth Bridge?" in short.text
    assert "John Fowler" in short.text


def test_a_body_stays_a_body_with_all_its_other_fields() -> None:
    short = compress_prompt(BODY, rate=0.5, compressor="extractive")
    body = json.loads(short.text)
    assert (body["model"], body["n"]) == ("gpt-4o", 1.0)
    assert len(body["messages"][0]["content"]) < len(TEXT)


def test_a_question_from_outside_decides_what_stays() -> None:
    own = compress_prompt(TEXT, rate=0.6, compressor="extractive")
    other = compress_prompt(
        TEXT, rate=0.6, compressor="extractive", question="When was the Tay Bridge opened?"
    )
    assert "opened in June 1878" not in own.text
    assert "opened in June 1878" in other.text


def test_a_text_without_any_mark_is_what_is_to_be_shortened() -> None:
    text = "Das Haus ist alt. Es steht am Fluss. Der Garten ist groß. Ein Baum steht darin."
    short = compress_prompt(text, rate=0.5, compressor="extractive")
    assert 0 < len(short.text) < len(text)
    assert {s.kind for s in short.compressed.prompt.segments} <= {"document", "format"}


def test_a_mere_question_is_not_cut() -> None:
    text = "Who designed the bridge that carries the railway over the Firth of Forth?"
    whole = compress_prompt(text, rate=0.5, compressor="extractive")
    assert whole.text == text
    assert whole.why_whole


def test_a_rate_of_1_gives_the_text_back() -> None:
    assert compress_prompt(TEXT, rate=1.0).text == TEXT
    assert compress_prompt(BODY, rate=1.0).text == BODY


@pytest.mark.parametrize(
    ("prompt", "body"),
    [
        (BODY, True),
        (f"\n {BODY}", True),
        (TEXT, False),
        ("", False),
        ("{not json", False),
        ('{"a": 1}', False),
        ('{"messages": "x"}', False),
        ("[1]", False),
    ],
)
def test_only_the_json_of_a_request_is_taken_for_one(prompt: str, body: bool) -> None:
    assert is_body(prompt) is body


def test_the_model_is_the_one_of_the_body() -> None:
    assert model_of(BODY) == "gpt-4o"
    assert model_of('{"messages": [], "model": 3}') == ""
    assert model_of(TEXT) == ""


def test_who_asks_for_compression_is_not_told_that_the_prompt_is_too_short() -> None:
    policy = policy_for("extractive", rate=0.25)
    assert (policy.rate, policy.min_tokens, policy.min_saving) == (0.25, 0, 0.0)
    assert policy_for("extractive", tokens=9).rate is None
    assert policy_for("extractive").rate == 0.5


@pytest.mark.parametrize(
    ("rate", "tokens", "said"),
    [
        (0.0, None, "rate must be > 0 and <= 1, not 0"),
        (1.5, None, "rate must be > 0 and <= 1, not 1.5"),
        (float("nan"), None, "rate must be > 0 and <= 1, not nan"),
        (None, 0, "tokens must be >= 1, not 0"),
        (0.5, 5, "set a rate or a number of tokens, not both"),
    ],
)
def test_a_target_that_nothing_can_meet_is_refused(
    rate: float | None, tokens: int | None, said: str
) -> None:
    with pytest.raises(BadTarget, match=said):
        policy_for(rate=rate, tokens=tokens)


def test_a_compressor_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownCompressor, match="unknown compressor 'llmlingua3'; known: off"):
        policy_for("llmlingua3")


def test_the_record_of_a_text_has_its_kept_spans() -> None:
    """The compressed text is what the spans say, as long as the order stands."""
    short = compress_prompt(TEXT, rate=0.5, compressor="extractive")
    said = record(short, "extractive", 1.234)
    assert "".join(TEXT[start:end] for start, end in said["kept"]) == said["compressed"]
    assert all(a[1] < b[0] for a, b in zip(said["kept"], said["kept"][1:], strict=False))
    assert said["tokens_after"] < said["tokens_before"]
    assert (said["compressor"], said["milliseconds"]) == ("extractive", 1.2)
    assert sum(s["got"] for s in said["segments"]) == said["tokens_after"]
    assert {s["kind"] for s in said["segments"]} >= {"document", "question"}
    assert all(s["reason"] for s in said["segments"])


def test_the_record_of_a_body_has_the_spans_of_each_of_its_strings() -> None:
    short = compress_prompt(BODY, rate=0.5, compressor="extractive")
    said = record(short, "extractive", 0)
    (place,) = said["kept"]
    assert place == "messages[0].content"
    kept = "".join(TEXT[start:end] for start, end in said["kept"][place])
    assert json.loads(said["compressed"])["messages"][0]["content"] == kept
    assert json.loads(json.dumps(said)) == said


def test_code_in_the_json_of_a_tool_is_kept_or_dropped_as_one() -> None:
    code = (
        "```\ndef settle(charge):\n    if charge.left < 0:\n        raise Broke\n    return 0\n```"
    )
    prose = "The ledger keeps what every request has cost so far. It is a long story, and dull."
    found = [{"id": n, "content": f"{prose} {n}.\n\n{code}\n\n{prose}"} for n in range(4)]
    messages = [
        {"role": "user", "content": "How does settle work?"},
        {"role": "tool", "tool_call_id": "1", "content": json.dumps(found)},
    ]
    for rate in (0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1):
        policy = Policy(compressor="extractive", rate=rate, min_tokens=0)
        short = abridge(json.dumps({"messages": messages}), policy, count=words).text
        for part in json.loads(json.loads(short)["messages"][1]["content"]):
            left = part["content"].replace(code, "")
            assert not any(word in left for word in ("settle", "charge", "raise", "return"))
