"""Training finds what the labels say, on a model of random weights."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_classifiers import make

from unabridged.compression.distil import Labelled
from unabridged.compression.fit_classifier import RECORD, Recipe, cropped, fit
from unabridged.compression.teachers import Asked
from unabridged.compression.token_classifier import TokenClassifier

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
QUICK = Recipe(
    rank=4, layers=0, epochs=8, learning_rate=2e-2, batch=16, weight=2.0, threads=1, looks=4
)


def labelled(number: int) -> list[Labelled]:
    """`green` stays, whatever stands around it."""
    chance = random.Random(3)
    found = []
    for _ in range(number):
        text = " ".join(chance.choices(WORDS, k=12))
        kept = tuple((at, at + 5) for at in range(len(text)) if text.startswith("green", at))
        found.append(Labelled(text=text, kept=kept, variation=0.0, gap=0.0))
    return found


def probability(classifier: TokenClassifier, text: str, word: str) -> float:
    [judged] = classifier.judge([text])
    start = text.index(word)
    inside = [
        p
        for p, (a, b) in zip(judged.keep, judged.spans, strict=True)
        if a < start + len(word) and b > start
    ]
    return float(sum(inside) / len(inside))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_trained_model_keeps_what_was_labelled(tmp_path: Path, method: str) -> None:
    base = make("mbert", tmp_path / "base")
    recipe = replace(QUICK, method=method, learning_rate=2e-2 if method == "lora" else 3e-3)
    out = tmp_path / "out"
    done = fit(labelled(160), base, out, recipe, base_source=f"path:{base}", quiet=True)
    assert done.loss < done.loss_before
    classifier = TokenClassifier(out, base=base if method == "lora" else None, threads=1)
    text = "the tides in the green book"
    assert probability(classifier, text, "green") > probability(classifier, text, "tides") + 0.2
    said = json.loads((out / RECORD).read_text())
    assert said["recipe"]["seed"] == 7 and said["versions"]["transformers"]
    assert said["base"] == f"path:{base}"
    assert not (out / "checkpoints").exists()


def test_questions_make_a_classifier_that_asks(tmp_path: Path) -> None:
    base = make("mbert", tmp_path / "base")
    examples = [
        Asked(text=e.text, kept=e.kept, question="what is green", answers=bool(e.kept))
        for e in labelled(40)
    ]
    out = tmp_path / "out"
    fit(examples, base, out, replace(QUICK, epochs=1), base_source="path:x", quiet=True)
    classifier = TokenClassifier(out, base=base, threads=1)
    assert classifier.asks
    [judged] = classifier.judge(["the green book"], ["what is green"])
    assert judged.relevance is not None and judged.sentence is not None


def test_one_example_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 examples"):
        fit(labelled(1), tmp_path, tmp_path, QUICK, base_source="x")


def test_a_crop_holds_a_kept_word_and_whole_words() -> None:
    text = " ".join(f"w{i}" for i in range(100))
    at = text.index("w73")
    for seed in range(20):
        start, end = cropped(text, [(at, at + 3)], 10, random.Random(seed))
        assert start <= at < end
        assert len(text[start:end].split()) == 10
        assert start == 0 or text[start - 1] == " "
    assert cropped(text, [], 0, random.Random(1)) == (0, len(text))
    assert cropped("a b", [], 5, random.Random(1)) == (0, 3)


LONG = replace(QUICK, epochs=90, patience=90)
"""Long enough to be broken off."""

BROKEN_OFF = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_fit_classifier import LONG, fit, labelled
fit(labelled(40), Path(sys.argv[2]), Path(sys.argv[3]), LONG, base_source="path:x", quiet=True)
"""


def test_a_run_that_was_broken_off_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    base, out = make("mbert", tmp_path / "base"), tmp_path / "out"
    here = str(Path(__file__).parent)
    running = subprocess.Popen([sys.executable, "-c", BROKEN_OFF, here, str(base), str(out)])
    states: list[Path] = []
    while not states and running.poll() is None:
        time.sleep(0.01)
        # Written last of all that a checkpoint holds.
        states = sorted(out.glob("checkpoints/*-*/trainer_state.json"))
    time.sleep(0.1)  # for the rest of the file
    running.kill()
    running.wait()
    state = json.loads(states[-1].read_text())
    assert 0 < state["global_step"] < state["max_steps"]
    state["log_history"].append({"step": 1, "eval_loss": 123.0})
    states[-1].write_text(json.dumps(state))
    done = fit(labelled(40), base, out, LONG, base_source="path:x", resume=True, quiet=True)
    assert done.steps == state["max_steps"]
    log = json.loads((out / RECORD).read_text())["log"]
    assert {"step": 1.0, "eval_loss": 123.0} in log
