"""Token classifiers of random weights, one of each architecture that checkpoints come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXTS = [
    "The harbour master wrote the tides of every month into a book with a green cover.",
    "Nobody in the town had seen the lighthouse dark since the winter of 1947, not once.",
    "등대지기는 매일 저녁 등불을 켰다. 港の人々は船を待っていた。",
    "In March 2019 the council paid 4,500 euros for the new lamp; who paid the rest?",
]
SPECIAL = {
    "sentencepiece": ["<s>", "<pad>", "</s>", "<unk>"],
    "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
    "bytes": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
}
KINDS = ("xlm-roberta", "mbert", "modernbert", "tinybert", "mobilebert")


def make(kind: str, place: Path, *, labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")) -> Path:
    """Write a checkpoint of a kind into `place`: config, tokenizer, random weights."""
    import torch
    from transformers import AutoModelForTokenClassification

    place.mkdir(parents=True, exist_ok=True)
    pieces = {"xlm-roberta": "sentencepiece", "modernbert": "bytes"}.get(kind, "wordpiece")
    size = _tokenizer(pieces, place)
    torch.manual_seed(5)
    config = _config(kind, size, labels)
    AutoModelForTokenClassification.from_config(config).save_pretrained(place)
    return place


def _config(kind: str, vocabulary: int, labels: tuple[str, ...]) -> Any:
    from transformers import BertConfig, MobileBertConfig, ModernBertConfig, XLMRobertaConfig

    common = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "initializer_range": 0.3,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    if kind == "xlm-roberta":
        # Two positions go to the padding: 96 tokens can be read.
        return XLMRobertaConfig(
            **common, max_position_embeddings=98, pad_token_id=1, type_vocab_size=1
        )
    if kind == "modernbert":
        return ModernBertConfig(
            **common, max_position_embeddings=96, pad_token_id=0, local_attention=16
        )
    if kind == "mobilebert":
        return MobileBertConfig(
            **common,
            max_position_embeddings=96,
            embedding_size=16,
            intra_bottleneck_size=16,
            num_feedforward_networks=2,
        )
    return BertConfig(**common, max_position_embeddings=96)


def _tokenizer(pieces: str, place: Path) -> int:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = SPECIAL[pieces]
    if pieces == "sentencepiece":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
        )
    elif pieces == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=200, special_tokens=special, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
    tokenizer.train_from_iterator(TEXTS, trainer)
    first, last = ("<s>", "</s>") if pieces == "sentencepiece" else ("[CLS]", "[SEP]")
    second = f" {last} $B {last}" if pieces == "sentencepiece" else f" $B:1 {last}:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last}{second}",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (first, last)],
    )
    tokenizer.save(str(place / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": special[0]}
    (place / "tokenizer_config.json").write_text(json.dumps(said))
    return int(tokenizer.get_vocab_size())
