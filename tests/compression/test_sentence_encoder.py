"""What the vectors of a sentence encoder promise, on random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unabridged.compression.causal_lm import NoModel
from unabridged.compression.job import Cancelled
from unabridged.compression.sentence_encoder import PROMPTS, SentenceEncoder, pool

TEXTS = [
    "The tide came in. The harbour master wrote it into his book.",
    "x",
    "등대지기는 저녁 등불을 켰다 👩‍👩‍👧 港",
    "",
    "a\r\nb\t[SEP] c",
]
LONG = "The harbour master wrote the tides of every month into a book with a green cover. " * 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights with a byte-level tokenizer and a window of 64 tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel

    directory = tmp_path_factory.mktemp("tiny-encoder")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["[PAD]", "[CLS]", "[SEP]"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXTS, LONG], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def encoder(place: Path) -> SentenceEncoder:
    return SentenceEncoder(place, threads=1, batch_tokens=128)


def test_a_text_has_the_same_vector_in_any_company(encoder: SentenceEncoder):
    together = encoder.passages(TEXTS, [()] * len(TEXTS))
    for text, found in zip(TEXTS, together, strict=True):
        [alone] = encoder.passages([text], [()])
        assert alone.whole == pytest.approx(found.whole, abs=2e-3)


def test_vectors_have_length_one_but_for_an_empty_text(encoder: SentenceEncoder):
    for text, found in zip(TEXTS, encoder.passages(TEXTS, [()] * len(TEXTS)), strict=True):
        assert np.linalg.norm(found.whole) == pytest.approx(1 if text else 0, abs=2e-3)


def test_the_whole_text_as_a_stretch_has_the_vector_of_the_text(encoder: SentenceEncoder):
    for text in (TEXTS[0], LONG):
        [found] = encoder.passages([text], [[(0, len(text)), (2, 2)]])
        assert found.spans[0] == pytest.approx(found.whole)
        assert found.spans[1] == pytest.approx(found.whole), "no token: the text's own"


def test_a_text_longer_than_the_window_is_read_to_its_end(encoder: SentenceEncoder):
    windows = encoder._windows(0, [], list(range(300)))
    assert all(len(w.ids) <= 64 for w in windows)
    read = [i for w in windows for i in w.ids[w.skip : w.skip + w.count]]
    assert read == list(range(300))
    [found] = encoder.passages([LONG + "zebra"], [[(0, 80), (len(LONG), len(LONG) + 5)]])
    [other] = encoder.passages([LONG + "quark"], [[(0, 80), (len(LONG), len(LONG) + 5)]])
    assert found.spans[0] == pytest.approx(other.spans[0], abs=2e-3)
    assert not np.allclose(found.spans[1], other.spans[1], atol=1e-2)


def test_the_names_of_special_tokens_in_a_text_are_text(encoder: SentenceEncoder):
    assert 2 not in encoder._tokenizer.encode("a [SEP] b", add_special_tokens=False).ids


def test_work_stops_between_batches(encoder: SentenceEncoder):
    def gone() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        encoder.passages([LONG] * 4, [()] * 4, gone)


def test_the_model_s_own_prompts_stand_in_front(place: Path, encoder: SentenceEncoder):
    said = {"prompts": {"query": "query: ", "document": "passage: "}}
    (place / PROMPTS).write_text(json.dumps(said))
    try:
        prompted = SentenceEncoder(place, threads=1)
    finally:
        (place / PROMPTS).unlink()
    asked, [passage] = prompted.question("tide"), prompted.passages(["tide"], [()])
    assert not np.allclose(asked, passage.whole, atol=1e-2)
    assert not np.allclose(asked, encoder.question("tide"), atol=1e-2)


def test_a_model_reads_the_language_whose_words_its_vocabulary_holds(encoder: SentenceEncoder):
    assert encoder.reads(LONG)
    assert encoder.reads(f"{LONG} Nobody foresaw tremendous earthquakes. ")
    assert encoder.reads("1932: 42")
    for foreign in (
        "Wann wurde eigentlich das Hochwasser",
        "다리는 언제 열렸습니까",
        "桥是什么时候开通的？",
    ):
        assert not encoder.reads(foreign)
        assert not encoder.reads((foreign + " ") * 300)


def test_what_cannot_be_loaded_or_paired_is_said(tmp_path: Path, encoder: SentenceEncoder):
    with pytest.raises(NoModel):
        SentenceEncoder(tmp_path)
    with pytest.raises(ValueError, match="1 lists of spans for 2 texts"):
        encoder.passages(["a", "b"], [()])


def test_the_revision_names_weights_and_window(place: Path, encoder: SentenceEncoder):
    assert SentenceEncoder(place).revision == encoder.revision
    assert SentenceEncoder(place, window=32).revision != encoder.revision


@given(st.lists(st.integers(1, 5), min_size=1, max_size=10), st.data())
def test_a_stretch_is_the_mean_of_the_tokens_that_end_inside(
    widths: list[int], data: st.DataObject
):
    ends = np.cumsum(widths)
    states = np.random.default_rng(1).normal(size=(len(ends), 4)).astype(np.float32)
    start = data.draw(st.integers(0, int(ends[-1])))
    end = data.draw(st.integers(start, int(ends[-1])))
    found = pool(states, ends, [(start, end)])
    inside = states[(ends > start) & (ends <= end)]
    mean = (inside if len(inside) else states).mean(0)
    assert found.spans[0] == pytest.approx(mean / np.linalg.norm(mean), abs=2e-3)
