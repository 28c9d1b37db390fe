"""What a cross-encoder's scores promise, on random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unabridged.compression.causal_lm import NoDevice, NoModel
from unabridged.compression.cross_encoder import CrossEncoder
from unabridged.compression.job import Cancelled

PASSAGES = ["the tide came in", "", "tea is a hot drink " * 9, "who kept the book of tides"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertForSequenceClassification

    place = tmp_path_factory.mktemp("tiny-cross-encoder")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        PASSAGES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(place / "tokenizer.json"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        num_labels=1,
        initializer_range=0.3,
    )
    BertForSequenceClassification(config).save_pretrained(place)
    return place


def test_a_passage_scores_the_same_in_any_company(directory: Path) -> None:
    encoder = CrossEncoder(directory, threads=1)
    together = encoder.scores("who kept the tide", PASSAGES)
    alone = [encoder.scores("who kept the tide", [passage])[0] for passage in PASSAGES]
    assert np.allclose(together, alone, atol=2e-3)
    assert len(set(together.tolist())) > 1


def test_the_question_matters(directory: Path) -> None:
    encoder = CrossEncoder(directory, threads=1)
    assert not np.allclose(encoder.scores("tea", PASSAGES), encoder.scores("the tide", PASSAGES))


def test_a_score_is_the_models_own_logit(directory: Path) -> None:
    encoder = CrossEncoder(directory, threads=1)
    encoded = encoder._tokenizer.encode("the tide", "tea is hot")
    with torch.inference_mode():
        expected = encoder._model(
            input_ids=torch.tensor([encoded.ids]), token_type_ids=torch.tensor([encoded.type_ids])
        ).logits[0, 0]
    assert encoder.scores("the tide", ["tea is hot"])[0] == pytest.approx(float(expected), abs=2e-3)


def test_a_long_passage_is_worth_its_best_window(directory: Path) -> None:
    encoder = CrossEncoder(directory, threads=1)
    parts = encoder._parts("the tide", PASSAGES[2])
    assert len(parts) > 1
    found = encoder.scores("the tide", [PASSAGES[2]])[0]
    assert found == pytest.approx(max(encoder.scores("the tide", parts)), abs=2e-3)


def test_work_stops_when_nobody_waits(directory: Path) -> None:
    def gone() -> None:
        raise Cancelled("gone")

    with pytest.raises(Cancelled):
        CrossEncoder(directory, threads=1).scores("tide", PASSAGES, gone)


def test_what_is_not_there_is_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(NoModel, match=r"tokenizer\.json"):
        CrossEncoder(tmp_path)
    with pytest.raises(NoDevice, match=r"server\.device"):
        CrossEncoder(directory, device="mps" if not torch.backends.mps.is_available() else "cuda")
