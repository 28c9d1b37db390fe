"""`unabridged train` from texts to a policy, as a user runs it."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent / "compression"))
sys.path.insert(0, str(Path(__file__).parent / "proxy"))

from fake_upstream import FakeUpstream, completion
from tiny_classifiers import make

from unabridged import train
from unabridged.proxy.installed import installed_classifier
from unabridged.train import read_labels, read_rows

WORDS = [
    "the",
    "harbour",
    "master",
    "wrote",
    "tides",
    "month",
    "book",
    "green",
    "cover",
    "winter",
    "lamp",
    "town",
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred sentences about one thing: who paid."""
    place = tmp_path_factory.mktemp("texts")
    chance = random.Random(5)
    rows = []
    for _ in range(300):
        words = chance.choices(WORDS, k=11)
        words[chance.randrange(11)] = "1947"
        said = {"text": " ".join(words) + ".", "answers": ["1947"], "question": "when was it"}
        rows.append(json.dumps(said))
    (place / "rows.jsonl").write_text("\n".join(rows))
    return place


def run(*arguments: object) -> str:
    done = CliRunner().invoke(train.app, [str(a) for a in arguments])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.output


def test_from_texts_to_a_model_that_keeps_what_answers_need(texts: Path, tmp_path: Path) -> None:
    base = make("mbert", tmp_path / "base")
    labels, good, out = tmp_path / "labels.jsonl", tmp_path / "good.jsonl", tmp_path / "model"
    assert "300 examples" in run("label", "--texts", texts, "--teacher", "answers", "--out", labels)
    assert "300 of 300" in run("filter", labels, "--out", good)
    said = run(
        "fit", good, "--out", out, "--encoder", f"path:{base}", "--layers", 0, "--rank", 4,
        "--epochs", 4, "--learning-rate", 0.02, "--threads", 1, "--quiet",
    )  # fmt: skip
    assert "held-out loss" in said
    scores = json.loads(run("score", f"path:{out}", "--data", texts, "--limit", 60, "--json"))
    [half, third] = scores[f"path:{out}"]
    assert half["got"] <= half["asked"] and half["tokens_per_second"] > 0
    assert third["retention"] > 0.9
    assert installed_classifier(f"path:{out}")() is not None


def test_questions_train_a_classifier_that_asks(texts: Path, tmp_path: Path) -> None:
    base = make("mbert", tmp_path / "base")
    rows = tmp_path / "rows.jsonl"
    lines = [
        {"text": "the lamp was lit in 1947.", "answers": ["1947"], "question": "when was it lit"},
        {"text": "the book was green.", "answers": ["green"], "question": "what was the book"},
    ]
    rows.write_text("\n".join(json.dumps(line) for line in lines * 4))
    labels, out = tmp_path / "labels.jsonl", tmp_path / "model"
    run("label", "--texts", rows, "--teacher", "questions", "--out", labels)
    run("fit", labels, "--out", out, "--encoder", f"path:{base}", "--epochs", 1, "--quiet")
    made = installed_classifier(f"path:{out}")()
    assert made is not None and made.asks


def test_surprisal_labels_go_on_where_they_stopped(
    texts: Path, tmp_path: Path, tiny_causal_lm: Path
) -> None:
    labels = tmp_path / "labels.jsonl"
    how = ("label", "--texts", texts, "--scorer", f"path:{tiny_causal_lm}", "--out", labels)
    run(*how, "--limit", 3)
    before = labels.read_text()
    run(*how, "--limit", 5)
    assert labels.read_text().startswith(before)
    found = read_labels(labels)
    assert len(found) == 5 and all(e.kept for e in found)


def test_a_chat_model_is_paid_once_and_only_after_a_yes(texts: Path, tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        config = tmp_path / "my.yaml"
        config.write_text(f"upstreams: {{default: {{url: '{upstream.url}'}}}}\n")
        how = (
            "label", "--texts", texts, "--teacher", "gpt-4o-mini", "--config", config, "--limit", 2,
            "--per-minute", 6000, "--out", tmp_path / "labels.jsonl",
        )  # fmt: skip
        refused = CliRunner().invoke(train.app, [str(a) for a in how], input="n\n")
        assert refused.exit_code == 1 and "$" in refused.output and not upstream.seen
        upstream.reply(completion("1947"), completion("1947"))
        assert "2 requests to gpt-4o-mini" in run(*how, "--yes")
        assert "0 requests" in run(*how)
        assert len(upstream.seen) == 2
    found = read_labels(tmp_path / "labels.jsonl")
    assert [e.text[slice(*e.kept[0])].strip() for e in found] == ["1947"] * 2


def test_align_shows_held_out_perplexity(tmp_path: Path, tiny_causal_lm: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    row = {"prompt": "When?", "answer": "The tide came in the winter of 1947."}
    answers.write_text("\n".join([json.dumps(row)] * 24))
    said = run(
        "align", "--answers", answers, "--out", tmp_path / "out", "--scorer",
        f"path:{tiny_causal_lm}", "--epochs", 2, "--threads", 1, "--quiet",
    )  # fmt: skip
    before, after = re.findall(r"(\d+\.\d+) (?:before|after)", said)
    assert float(after) < float(before)


def test_texts_are_files_of_text_and_lines_with_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.")
    (tmp_path / "b.jsonl").write_text('{"text": "Two."}\n{"other": 1}\n')
    (tmp_path / "c.md").write_text("Three.")
    assert [row["text"] for row in read_rows(tmp_path)] == ["One.", "Two."]


def test_a_folder_without_texts_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        train.app, ["label", "--texts", str(tmp_path), "--out", str(tmp_path / "x")]
    )
    assert isinstance(done.exception, train.NoTexts)
    assert str(tmp_path) in str(done.exception)
