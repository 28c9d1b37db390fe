"""What word probabilities promise, on random weights of every architecture."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from tiny_classifiers import KINDS, TEXTS, make

from unabridged.compression.causal_lm import NoModel
from unabridged.compression.classifier import pooled
from unabridged.compression.job import Cancelled
from unabridged.compression.sentences import words
from unabridged.compression.token_classifier import ASKING, TokenClassifier

LONG = " ".join(TEXTS * 4)


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(request.param, tmp_path_factory.mktemp("tiny") / "renamed")


@pytest.fixture(scope="module")
def classifier(place: Path) -> TokenClassifier:
    return TokenClassifier(place, threads=1, batch_tokens=256)


def published(place: Path, text: str) -> tuple[list[tuple[int, int]], list[float]]:
    """The paper's own path in its plainest form: one text, one pass, softmax of the second label,
    the mean over each word's tokens."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForTokenClassification

    encoding = Tokenizer.from_file(str(place / "tokenizer.json")).encode(text)
    model = AutoModelForTokenClassification.from_pretrained(place).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([encoding.ids])).logits[0]
    likely = logits.softmax(-1)[:, 1].tolist()
    found: list[tuple[int, int]] = []
    means: list[float] = []
    for start, end in words(text):
        own = [
            p
            for p, (a, b), special in zip(
                likely, encoding.offsets, encoding.special_tokens_mask, strict=True
            )
            if not special and a < b and start < b <= end
        ]
        if own:
            found.append((start, end))
            means.append(sum(own) / len(own))
    return found, means


def test_word_probabilities_are_those_of_the_published_path(
    place: Path, classifier: TokenClassifier
) -> None:
    for text in (TEXTS[0], TEXTS[3]):
        spans, wanted = published(place, text)
        [judged] = classifier.judge([text])
        values = pooled(judged.spans, judged.keep, [[span] for span in words(text)])
        own = [v for v in values if not np.isnan(v)]
        assert len(own) == len(spans)
        assert own == pytest.approx(wanted, abs=2e-3)


def test_a_text_is_judged_alike_in_any_company(classifier: TokenClassifier) -> None:
    together = classifier.judge([*TEXTS, LONG, "", "x"])
    for text, found in zip([*TEXTS, LONG, "", "x"], together, strict=True):
        [alone] = classifier.judge([text])
        assert alone.keep == pytest.approx(found.keep, abs=2e-3)
        assert (alone.spans == found.spans).all()


def test_every_token_of_a_long_text_is_judged_once(classifier: TokenClassifier) -> None:
    [judged] = classifier.judge([LONG])
    assert len(judged.keep) == len(judged.spans) > 96
    assert ((judged.keep >= 0) & (judged.keep <= 1)).all()
    assert (np.diff(judged.spans[:, 0]) >= 0).all()
    assert judged.sentence is None and judged.relevance is None


def test_a_chunk_ends_behind_a_sentence(place: Path) -> None:
    """So a text's second half is judged as if it stood alone, where a chunk ends between them."""
    classifier = TokenClassifier(place, threads=1)
    first = TEXTS[0] + " "
    [whole] = classifier.judge([first + TEXTS[1] + " " + TEXTS[1]], ends=(".",))
    [alone] = classifier.judge([TEXTS[0]], ends=(".",))
    count = len(alone.keep)
    if count * 2 > 94:  # only then does the second sentence not fit beside the first
        assert whole.keep[:count] == pytest.approx(alone.keep, abs=2e-3)


def test_unknown_characters_are_kept(tmp_path: Path) -> None:
    classifier = TokenClassifier(make("mbert", tmp_path), threads=1)
    text = "tide ☃ tide"
    [judged] = classifier.judge([text])
    snow = [p for p, (a, b) in zip(judged.keep, judged.spans, strict=True) if text[a:b] == "☃"]
    assert snow == [1.0]


def test_special_strings_in_a_text_are_text(classifier: TokenClassifier) -> None:
    text = "a [SEP] b </s> c <pad>"
    [judged] = classifier.judge([text])
    assert judged.spans[-1, 1] == len(text)


def test_a_classifier_that_asks_judges_words_sentences_and_passages(tmp_path: Path) -> None:
    for kind in ("mbert", "xlm-roberta"):
        classifier = TokenClassifier(make(kind, tmp_path / kind, labels=ASKING), threads=1)
        assert classifier.asks
        a, b = classifier.judge([LONG, LONG], ["Who paid?", "What was green? " * 30])
        assert a.sentence is not None and len(a.sentence) == len(a.keep)
        assert a.relevance is not None and 0 <= a.relevance <= 1
        assert not np.allclose(a.keep, b.keep)
        [free] = classifier.judge([LONG])
        assert free.relevance is None


def test_the_label_that_keeps_is_found_by_its_name(tmp_path: Path) -> None:
    place = make("mbert", tmp_path / "a", labels=("keep", "drop"))
    # A second training of the tokenizer would break ties in another way.
    other = Path(shutil.copytree(place, tmp_path / "b"))
    said = json.loads((place / "config.json").read_text())
    said |= {"id2label": {0: "drop", 1: "keep"}, "label2id": {"drop": 0, "keep": 1}}
    (other / "config.json").write_text(json.dumps(said))
    one, two = TokenClassifier(place, threads=1), TokenClassifier(other, threads=1)
    [kept], [dropped] = one.judge([TEXTS[0]]), two.judge([TEXTS[0]])
    assert kept.keep == pytest.approx(1 - dropped.keep, abs=2e-3)


def test_an_adapter_costs_nothing_and_changes_the_weights(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForTokenClassification

    base = make("mbert", tmp_path / "base")
    model = AutoModelForTokenClassification.from_pretrained(base)
    config = LoraConfig(r=4, target_modules=["query", "dense"], modules_to_save=["classifier"])
    tuned = get_peft_model(model, config)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                value.copy_(torch.randn_like(value) * 0.3)
    adapter = tmp_path / "adapter"
    tuned.save_pretrained(adapter)
    (adapter / "config.json").write_text((base / "config.json").read_text())
    tuned.merge_and_unload().save_pretrained(tmp_path / "merged")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "merged" / name).write_text((base / name).read_text())
    [wanted] = TokenClassifier(tmp_path / "merged", threads=1).judge([LONG])
    [found] = TokenClassifier(adapter, base=base, threads=1).judge([LONG])
    assert found.keep == pytest.approx(wanted.keep, abs=2e-3)
    [plain] = TokenClassifier(base, threads=1).judge([LONG])
    assert not np.allclose(plain.keep, found.keep, atol=0.05)


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    base = make("mbert", tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "config.json").write_text((base / "config.json").read_text())
    said = {"peft_type": "LORA", "lora_alpha": 8}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    save_file(
        {"base_model.model.other.weight": torch.zeros(2)}, adapter / "adapter_model.safetensors"
    )
    with pytest.raises(NoModel, match="another base"):
        TokenClassifier(adapter, base=base)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    place = make("mbert", tmp_path)
    said = json.loads((place / "config.json").read_text())
    said["architectures"] = ["BertModel"]
    (place / "config.json").write_text(json.dumps(said))
    with pytest.raises(NoModel, match="train fit"):
        TokenClassifier(place)


def test_questions_and_texts_have_to_match(classifier: TokenClassifier) -> None:
    with pytest.raises(ValueError, match="2 questions for 1 texts"):
        classifier.judge(["a"], ["b", "c"])


def test_work_stops_between_batches(classifier: TokenClassifier) -> None:
    def gone() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        classifier.judge([LONG], checkpoint=gone)


def test_the_revision_tells_weights_apart(tmp_path: Path) -> None:
    one = TokenClassifier(make("mbert", tmp_path / "a"), threads=1)
    two = TokenClassifier(make("mbert", tmp_path / "b", labels=("a", "b", "keep")), threads=1)
    assert one.revision != two.revision
    assert not one.asks
    assert one.reads("the")


def test_half_a_surrogate_pair_is_judged_like_any_character(classifier: TokenClassifier) -> None:
    [judged] = classifier.judge(["tide \ud83d tide"], ["\udfff"] if classifier.asks else ())
    assert judged.spans[-1, 1] == len("tide \ud83d tide")
    assert isinstance(classifier.reads("\ud83d"), bool)


def test_a_word_longer_than_the_model_knows_is_kept(tmp_path: Path) -> None:
    classifier = TokenClassifier(make("mbert", tmp_path), threads=1)
    word = "tide" * 30
    [judged] = classifier.judge([f"the {word} tide"])
    inside = [p for p, (a, _) in zip(judged.keep, judged.spans, strict=True) if 4 <= a < 124]
    assert inside == [1.0]


def test_probabilities_do_not_depend_on_the_number_of_threads_nor_on_the_run(place: Path) -> None:
    before = torch.get_num_threads()
    texts = [*TEXTS, LONG, "", "x"]
    try:
        runs = [TokenClassifier(place, threads=threads).judge(texts) for threads in (1, 2, 1)]
    finally:
        torch.set_num_threads(before)
    for first, *others in zip(*runs, strict=True):
        assert all(np.array_equal(first.keep, other.keep) for other in others)


def test_loading_and_judging_leave_the_chance_of_others_alone(place: Path) -> None:
    """No seed is set, and nothing global is switched."""
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    switch = torch.backends.cudnn.deterministic
    TokenClassifier(place, threads=1).judge(TEXTS)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after and switch == torch.backends.cudnn.deterministic


def test_no_chunk_is_padded_beyond_the_longest_beside_it(classifier: TokenClassifier) -> None:
    wide: list[int] = []

    def look(_: object, args: object, parts: dict[str, torch.Tensor]) -> None:
        wide.append(parts["input_ids"].shape[1])

    hook = classifier._model.register_forward_pre_hook(look, with_kwargs=True)
    classifier.judge(["the tide"])
    hook.remove()
    assert wide and max(wide) < 20
