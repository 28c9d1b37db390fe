"""Whatever happens to a prompt, something sendable comes out, with the reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import config_for, fake_compress, fake_steps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unabridged.compression.compress import compress, run_job
from unabridged.compression.join import render
from unabridged.compression.plan import allot
from unabridged.compression.split import split
from unabridged.policies.choose import Facts, choose
from unabridged.proxy.abridger import Abridger
from unabridged.proxy.policy_models import Models
from unabridged.proxy.sent import Sent
from unabridged.proxy.shelf import MemoryShelf
from unabridged.proxy.workers import Workers

CHOICE = choose(config_for("http://h/v1"), Facts(path="/v1/chat/completions"))


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(threads=1, queue=4)
    yield workers
    workers.close()


def abridger(workers: Workers, shelf: MemoryShelf | None = None, **steps: Any) -> Abridger:
    values = shelf or MemoryShelf()
    return Abridger(
        steps=fake_steps(**steps),
        workers=workers,
        shelf=lambda owner: values,
        counter=lambda model, tokenizer: lambda text: len(text.split()),
        models=Models(
            scorer=lambda policy: None,
            encoder=lambda policy: lambda: None,
            classifier=lambda policy, wrap: lambda: None,
            reranker=lambda policy: lambda: None,
        ),
        revision=lambda compressor, policy: "",
        run=run_job,
    )


def sent(means: Abridger, text: str, choice: Any = CHOICE) -> Sent:
    return asyncio.run(means(text, choice, model="m", owner="t"))


def chat(text: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=False)


def test_tokens_are_told_by_kind(workers: Workers) -> None:
    got = sent(abridger(workers), chat("0123456789"))
    assert (got.tokens_before, got.tokens_after, got.asked) == (
        {"document": 10},
        {"document": 5},
        5,
    )
    assert json.loads(got.body) == json.loads(chat("01234"))
    assert got.compressed is not None


def test_when_nothing_is_cut_the_reason_of_the_longest_segment_is_told(workers: Workers) -> None:
    def nothing(*given: Any, **named: Any) -> Any:
        whole = fake_compress(*given, **named)
        return replace(whole, tokens_after=whole.tokens_before, why=("as it came: because",))

    got = sent(abridger(workers, compress=nothing), chat("0123456789"))
    assert got.body == chat("0123456789").encode()
    assert (got.reason, got.failed_step) == ("as it came: because", "")
    assert got.compressed is None


REAL = {"split": split, "allot": allot, "compress": compress, "render": render}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=40), max_size=12), st.text(max_size=20))
def test_any_prompt_leaves_as_json_that_is_never_longer(
    workers: Workers, documents: list[str], question: str
) -> None:
    text = chat("\n\n".join(f"Document [{i}] {d}." for i, d in enumerate(documents)) + question)
    got = sent(abridger(workers, **REAL), text)
    assert len(got.body) <= len(text.encode("utf-8", "surrogatepass"))
    assert json.loads(got.body).keys() == {"messages"}


def test_the_same_prompt_gives_the_same_bytes_from_the_cache_and_without(
    workers: Workers,
) -> None:
    documents = "\n\n".join(f"Document [{i}] Town {i} is old. It is small." for i in range(20))
    text = chat(f"{documents}\n\nQuestion: How old is town 3?")
    means = abridger(workers, **REAL)
    first, second = sent(means, text), sent(means, text)
    other = sent(abridger(workers, **REAL), text)
    assert first.body == second.body == other.body
    assert len(first.body) < len(text)
    assert (first.cache, second.cache) == ("miss", "hit")


def test_warming_up_touches_every_step_and_remembers_nothing(workers: Workers) -> None:
    shelf = MemoryShelf()
    abridger(workers, shelf, **REAL).warm(CHOICE)
    assert not shelf.values
