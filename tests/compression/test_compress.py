"""Whatever a compressor does, what is sent is a part of what was written, and has a reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import Judging

from unabridged.compression.compress import (
    COMPRESSORS,
    BadCut,
    UnknownCompressor,
    compress,
    compressor,
    models_of,
    run_job,
)
from unabridged.compression.job import Cancelled, Cut, Job
from unabridged.compression.join import render
from unabridged.compression.kept import valid
from unabridged.compression.plan import allot
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.compression.scorer import TokenScores
from unabridged.compression.split import split
from unabridged.compression.tokens import counter
from unabridged.policies.policy import Kind, Policy

COUNT = counter("gpt-4o")
MODEL_FREE = ["off", "lossless", "extractive", "auto"]


def prompt(*parts: tuple[Any, ...]) -> Prompt:
    """Each part: kind, text, and perhaps turn and message; a message is one string."""
    segments = []
    for i, part in enumerate(parts):
        turn = part[2] if len(part) > 2 else 0
        message = part[3] if len(part) > 3 else i
        where = Where(path=("messages", message, "content"), start=0)
        segments.append(Segment(kind=part[0], text=part[1], where=where, turn=turn))
    return Prompt(body="", segments=tuple(segments))


def run(parts: Prompt, policy: Policy, **extra: Any) -> Compressed:
    return compress(parts, allot(parts, policy, COUNT), policy, COUNT, **extra)


def policy(name: str = "extractive", **fields: Any) -> Policy:
    return Policy(compressor=name, **{"min_tokens": 0, "min_saving": 0, **fields})


RAG = prompt(
    ("instruction", "Answer from the text."),
    ("document", "Tea is old. The bridge opened in 1932. Rain fell for days. " * 3, 0, 1),
    ("document", "Cats sleep. Dogs bark at night. Birds sing early. " * 3, 0, 1),
    ("question", "When did the bridge open?"),
)


@pytest.mark.parametrize("name", ["extractive", "auto"])
def test_documents_are_cut_and_instruction_and_question_are_not(name: str):
    done = run(RAG, policy(name, rate=0.5))
    assert done.text(0) == "Answer from the text."
    assert done.text(3) == "When did the bridge open?"
    assert "The bridge opened in 1932." in done.text(1)
    assert sum(done.tokens_after) <= round(0.5 * sum(done.tokens_before))
    assert done.tokens_after == tuple(COUNT(done.text(i)) for i in range(4))
    assert done.why[0] == "instructions are kept whole by the policy"
    assert all(done.why)


@pytest.mark.parametrize("name", MODEL_FREE)
def test_rate_one_is_identity_but_for_what_lossless_drops(name: str):
    done = run(RAG, policy(name, rate=1.0))
    if name != "lossless":
        assert [done.text(i) for i in range(4)] == [s.text for s in RAG.segments]


def test_a_turn_that_would_save_too_little_is_left_and_told_why():
    done = run(RAG, policy(rate=0.9, min_saving=0.5))
    assert done.tokens_after == done.tokens_before
    assert any("less than min_saving (0.5)" in why for why in done.why)


def test_protected_segments_reach_no_compressor():
    parts = replace(RAG, segments=tuple(replace(s, protected=True) for s in RAG.segments))
    done = run(parts, policy(rate=0.1))
    assert done.tokens_after == done.tokens_before
    assert done.why[1] == "protected: nothing may cut inside"


def test_a_message_is_never_left_empty():
    parts = prompt(
        ("document", "Cats sleep all day long."),
        ("document", "Bridge. " * 40),
        ("question", "Bridge?"),
    )
    done = run(parts, policy(rate=0.2))
    assert done.text(0) == "Cats sleep all day long."
    assert done.why[0] == "its beginning is kept: without it the message would be empty"


def test_every_job_goes_through_run_with_its_question_and_budget():
    seen: list[tuple[str, Job]] = []

    def remembering(name: str, job: Job) -> Cut:
        seen.append((name, job))
        return run_job(name, job)

    done = run(RAG, policy(rate=0.5), run=remembering)
    ((name, job),) = seen
    assert name == "extractive"
    assert job.question == "When did the bridge open?"
    assert job.segments == RAG.segments[1:3]
    assert done == run(RAG, policy(rate=0.5))


def test_a_cut_of_something_else_is_refused():
    def outside(name: str, job: Job) -> Cut:
        return Cut(kept=(((0, 10_000),),) * 2, why=("",) * 2)

    def too_few(name: str, job: Job) -> Cut:
        return Cut(kept=(), why=())

    with pytest.raises(BadCut, match="not sorted, disjoint and within"):
        run(RAG, policy(rate=0.5), run=outside)
    with pytest.raises(BadCut, match="0 span lists and 0 reasons for 2 segments"):
        run(RAG, policy(rate=0.5), run=too_few)


def test_a_segment_that_a_compressor_did_not_make_smaller_is_left():
    def lazy(name: str, job: Job) -> Cut:
        return Cut(kept=tuple(((0, len(s.text)),) for s in job.segments), why=("tried",) * 2)

    done = run(RAG, policy(rate=0.5), run=lazy)
    assert done.tokens_after == done.tokens_before
    assert done.why[1] == "tried"


def test_a_cancelled_request_stops_the_work():
    def gone() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(RAG, policy(rate=0.5), checkpoint=gone)


def test_an_unknown_compressor_is_named():
    with pytest.raises(UnknownCompressor, match="unknown compressor 'bm52'; known: off, lossless"):
        compressor("bm52")


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_compressor_without_a_model_imports_no_model_code(name: str):
    assert name in COMPRESSORS
    code = (
        "import sys\n"
        "from unabridged.compression.compress import compressor\n"
        f"compressor({name!r})\n"
        "assert not {'torch', 'transformers', 'litellm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


KINDS: list[Kind] = [
    "instruction",
    "demonstration",
    "document",
    "question",
    "history",
    "tool_output",
]
pieces = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(["One. ", "漢字。", "문장. ", "2 kg\n", "<s>"]), max_size=20)
    .map("".join),
)  # fmt: skip
conversations = st.lists(
    st.lists(st.tuples(st.sampled_from(KINDS), pieces), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


@given(conversations, st.sampled_from(MODEL_FREE), st.floats(0.05, 1), st.floats(0, 0.5))
def test_laws_hold_for_any_conversation(
    turns: list[list[tuple[Kind, str]]], name: str, rate: float, min_saving: float
):
    def parts(number: int) -> Prompt:
        return prompt(*((*p, turn, turn) for turn in range(number) for p in turns[turn]))

    rules = policy(name, rate=rate, min_saving=min_saving)
    done = run(parts(len(turns)), rules)
    for i, segment in enumerate(done.prompt.segments):
        assert valid(done.kept[i], len(segment.text))
        assert done.tokens_after[i] <= done.tokens_before[i]
        assert done.tokens_after[i] == COUNT(done.text(i))
        assert done.why[i]
        if segment.kind in ("instruction", "question", "history"):
            assert done.text(i) == segment.text
    for number in range(1, len(turns)):
        earlier = run(parts(number), rules)
        assert earlier.kept == done.kept[: len(earlier.kept)]


def _noise(seed: int) -> str:
    return " ".join(f"Item {seed * 37 + n} was seen near gate {n % 7} at noon." for n in range(40))


CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Answer from what you are given."},
    {
        "role": "user",
        "content": f"Document [1] {_noise(1)}\n\nDocument [2] {_noise(2)}\n\n"
        "Question: Where was 40?",
    },
    {"role": "assistant", "content": "Near gate 3, as document 1 says. " * 8},
    {"role": "user", "content": "And what else is known of item 80?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
    {"role": "tool", "tool_call_id": "1", "content": _noise(3)},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "2", "type": "function"}]},
    {"role": "tool", "tool_call_id": "2", "content": _noise(4)},
    {"role": "assistant", "content": "It was seen twice."},
    {"role": "user", "content": f"Compare with this.\n\nDocument [1] {_noise(5)}\n\nWhat is new?"},
]


@pytest.mark.parametrize("name", ["extractive", "auto"])
@pytest.mark.parametrize("rules", [{"rate": 0.5}, {"target_tokens": 900}, {"rate": 0.3}])
def test_what_was_sent_is_a_prefix_of_every_later_request(name: str, rules: dict[str, Any]) -> None:
    """Answers and tool calls come in between: the provider's prompt cache keeps hitting."""
    sent: list[Any] = []
    for end, message in enumerate(CONVERSATION, 1):
        if message["role"] in ("user", "tool"):
            found = split(json.dumps({"messages": CONVERSATION[:end]}), policy(name, **rules))
            messages = json.loads(render(run(found, policy(name, **rules))))["messages"]
            assert messages[: len(sent)] == sent
            sent = messages
    assert len(json.dumps(sent)) < len(json.dumps(CONVERSATION))


def test_demonstrations_stay_whole_and_what_they_leave_is_not_lost():
    shot = "Question: how many bridges are there in town {0}?\nAnswer: there are {0} of them.\n\n"
    order = "Answer briefly and say what you know. Do not guess. Give a number and nothing else."
    parts = prompt(
        ("instruction", order, 0, 0),
        *(("demonstration", shot.format(i), 0, 1) for i in range(11, 17)),
        ("question", "How many?", 0, 2),
    )
    keep = {"instruction": 0.5}
    plans = [policy(rate=rate, keep=keep) for rate in (0.4, 0.5, 0.6)]
    for each in plans:
        planned = allot(parts, each, COUNT)
        done = run(parts, each)
        shots = range(1, 7)
        assert all(done.text(i) in ("", parts.segments[i].text) for i in shots)
        [granted] = [g.tokens for g in planned.grants if g.kind == "demonstration"]
        left = granted - sum(done.tokens_after[i] for i in shots)
        [own] = [g.tokens for g in planned.grants if g.kind == "instruction"]
        assert 0 < left < COUNT(shot)
        assert own < done.tokens_after[0] <= own + left


FLEET = {"url": "http://gpu-1:8000/v1", "model": "large"}


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("off", {}, set()),
        ("extractive", {}, set()),
        ("llmlingua", {}, {"scorer"}),
        ("longllmlingua", {}, {"scorer", "encoder", "reranker"}),
        ("llmlingua2", {}, {"classifier"}),
        ("auto", {}, {"encoder", "classifier"}),
        ("auto", {"judge": "always"}, {"encoder", "classifier", "scorer"}),
        ("auto", {"scorer": FLEET}, {"encoder", "classifier", "scorer"}),
        ("auto", {"reranker": "path:/models/r"}, {"encoder", "classifier", "reranker"}),
        ("auto", {"reranker": "path:/models/r", "judge": "never"}, {"encoder", "classifier"}),
    ],
)  # fmt: skip
def test_the_models_that_decide_an_outcome_are_known_by_name(
    name: str, how: dict[str, Any], expected: set[str]
) -> None:
    assert models_of(name, Policy.model_validate(how)) == expected


PROSE = (
    "The tide came into the harbour and nobody saw the lighthouse dark. Joyce B. Wein paid 12 kg "
    "of it on 24 December 1814; it was not safe. Tolland Steelworks took 341,900 pounds, which the "
    "committee accepted. "
)


@pytest.mark.parametrize("name", ["extractive", "auto"])
@pytest.mark.parametrize("length", [20, 80, 199, 200, 201, 350, 1000, 8000])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_budget_is_met_at_every_length_without_a_model(name: str, length: int, rate: float):
    """To within one word: the longest here, a date with its marks, has seven tokens."""
    numbered = (f"{n} {PROSE}" for n in range(length))
    text = ""
    while COUNT(text) < length:
        text += next(numbered)
    while COUNT(text) > length:
        text = text.rpartition(" ")[0]
    done = run(prompt(("document", text)), policy(name, rate=rate, floor=1e-6))
    assert -7 <= COUNT(done.text(0)) - round(rate * COUNT(text)) <= 1


def test_the_beginning_that_a_message_keeps_is_no_longer_than_what_was_asked_for():
    """A sentence is 14 tokens; of 5 its first words are kept, of none one word."""
    text = "The harbour master wrote the tides of every month into a green book."
    for tokens, kept in ((5, "The harbour master wrote the"), (1, "The")):

        def nothing(name: str, job: Job) -> Cut:
            return Cut(kept=((),), why=("nothing fits",))

        rules = Policy(target_tokens=tokens, floor=1e-6, min_tokens=0, compressor="extractive")
        assert run(prompt(("document", text)), rules, run=nothing).text(0) == kept


PIECES = [
    "$1,200.50", "35 kg", "12 May 2020", "2019年5月3日", "https://x.org/a?b=1&c=2",
    "a.b+c@d-e.org", "/usr/lib/x.so", "C:\\dir\\file.txt", "os.path.join()", "max_tokens_2",
    "`rm -rf x`", '"never again at all"', "「不知道」", '{"alpha":[12,23],"beta":"xyz one two"}',
    "```py\nfor a in b:\n    go(a)\n```", "341,900", "GPT-4",
]  # fmt: skip


class Even:
    """A Scorer to whom the piece's insides are as good as any other text."""

    revision = "even"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        return [
            TokenScores(
                spans=np.array([[i, i + 1] for i in range(len(t))], dtype=np.int32).reshape(-1, 2),
                scores=np.array([(ord(c) * 7919 % 97) / 97 for c in t], dtype=np.float32),
            )
            for t in texts
        ]


@pytest.mark.parametrize("name", ["extractive", "auto", "llmlingua", "longllmlingua", "llmlingua2"])
@pytest.mark.parametrize("piece", PIECES)
def test_what_is_protected_is_whole_or_gone_at_every_rate(name: str, piece: str):
    """If anything of it can still be read, all of it can."""
    parts = re.findall(r"[A-Za-z]{3,}|\d{2,}|[一-龥]{2,}", piece)
    around = "the tide came in late and nobody in town had seen the lamp"
    text = f"{around}, {around}\n\n{piece}\n\n{around}, {around}."
    likely = dict.fromkeys(parts, 0.4)
    for tokens in range(1, COUNT(text), 3):
        rules = policy(name, target_tokens=tokens, floor=1e-6)
        done = run(
            prompt(("document", text)), rules, scorer=Even, classifier=lambda: Judging(likely)
        )
        assert piece in done.text(0) or not any(part in done.text(0) for part in parts)


STRANGE = [
    "등대지기는 매일 저녁 등불을 켰다.", "港の人々は船を待っていた。", "灯台的灯亮着。",
    "ภาษาไทยไม่มีช่องว่าง",
    "👩‍👩‍👧 🇰🇷🇯🇵 1️⃣ ❤️", "e\u0301 a\u0308\u0301", "لا أعرف", "a\r\nb\tc", "<s> </s> [CLS] ##x",
    "<|endoftext|>", "<llmlingua, rate=0.5>", "</llmlingua>", "[NEW0]", "x < y && <b>z</b>", "\x00",
    "\ufeff", "Ünïcödé",
]  # fmt: skip


@pytest.mark.parametrize("name", ["extractive", "auto", "llmlingua", "longllmlingua", "llmlingua2"])
@given(st.lists(st.sampled_from(STRANGE), min_size=1, max_size=8).map(" ".join), st.floats(0.1, 1))
@settings(max_examples=40)
def test_no_character_is_broken_or_invented_in_any_language(name: str, text: str, rate: float):
    done = run(prompt(("document", text)), policy(name, rate=rate), scorer=Even, classifier=Judging)
    sent, clusters = done.text(0), iter(regex.findall(r"\X", text))
    assert all(cluster in clusters for cluster in regex.findall(r"\X", sent))
    if rate == 1:
        assert sent == text


def test_what_is_sent_does_not_depend_on_the_seed_of_hashes():
    code = (
        "import json\n"
        "from unabridged.abridge import compress_prompt\n"
        "text = open(0).read()\n"
        "for name in ('extractive', 'auto'):\n"
        "    print(json.dumps(compress_prompt(text, rate=0.4, compressor=name).text))\n"
    )
    text = "\n\n".join(f"Document [{n}] {_noise(n)}" for n in range(6)) + "\n\nQuestion: gate 3?"
    sent = {
        subprocess.run(
            [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(sent) == 1


PROGRAM = """def shorten(text, limit=9):
    found = text.split()
    for number, word in enumerate(found):
        if number > limit:
            print(word, number)
    return "".join(found[:limit])
"""


@pytest.mark.parametrize("name", ["extractive", "auto", "llmlingua", "longllmlingua", "llmlingua2"])
def test_a_program_without_a_fence_loses_whole_lines_and_nothing_less(name: str):
    lines = set(PROGRAM.split("\n"))
    for tokens in range(1, COUNT(PROGRAM), 4):
        rules = policy(name, target_tokens=tokens, floor=1e-6)
        parts = prompt(("document", PROGRAM))
        done = run(parts, rules, scorer=Even, classifier=Judging)
        assert {line.strip() for line in done.text(0).split("\n")} <= {x.strip() for x in lines}
