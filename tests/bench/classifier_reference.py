"""Holds the classifier path against llmlingua 0.2.2 on the same checkpoint of random weights.

    python tests/bench/classifier_reference.py --reference PYTHON

PYTHON has llmlingua 0.2.2 with transformers 4.46. Prints how far the probabilities of the same
tokens are apart, for a checkpoint of each family that the reference knows by its name: as
published, where it frames every text as a BERT would, whatever the model, and with that mended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from unabridged.compression.classifier import Judged

sys.path.insert(0, str(Path(__file__).parents[1] / "compression"))

FAMILIES = {"mbert": "bert-base-multilingual-cased", "xlm-roberta": "xlm-roberta-large"}
LENGTH = 90
"""Tokens that a checkpoint reads at once, with those that frame them."""
SENTENCES = 40
SPECIAL = {
    "mbert": {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"},
    "xlm-roberta": {
        **{"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>"},
        **{"bos_token": "<s>", "eos_token": "</s>"},
    },
}
"""What the reference looks up by name; ours reads it off the tokenizer's template."""


class Heard(Exception):
    """The probabilities are known; what the reference does with them is not asked."""


def main() -> None:
    """Print a line for each family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True, help="a Python with llmlingua 0.2.2")
    options = parser.parse_args()
    for family, name in FAMILIES.items():
        with tempfile.TemporaryDirectory() as folder:
            compare(family, Path(folder) / name, options.reference)


def compare(family: str, place: Path, reference: str) -> None:
    """Make a checkpoint, let both read the same texts with it, and print what differs."""
    from tiny_classifiers import TEXTS, make

    from unabridged.compression.token_classifier import TokenClassifier

    make(family, place)
    name_special_tokens(place, SPECIAL[family])
    chance = random.Random(3)
    words = " ".join(text for text in TEXTS if text.isascii()).split()
    texts = [" ".join(chance.choices(words, k=12)) for _ in range(SENTENCES)]
    texts += [text for text in TEXTS if not text.isascii()]
    command = [reference, __file__, "--as-reference", str(place)]
    done = subprocess.run(
        command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True
    )
    ours = TokenClassifier(place, threads=1).judge(texts)
    for how, theirs in json.loads(done.stdout.splitlines()[-1]).items():
        tokens, apart = difference(ours, theirs)
        print(f"| {family}, {how} | {len(texts)} | {tokens} | {apart:.1e} |", flush=True)


def difference(ours: list[Judged], theirs: list[list[float]]) -> tuple[int, float]:
    """Tokens that were compared, and the largest difference of their probabilities."""
    apart, tokens = 0.0, 0
    for own, found in zip(ours, theirs, strict=True):
        values = np.array(found)
        # What it does not know it keeps; the reference leaves such tokens out.
        known = own.keep[own.keep < 1]
        assert len(values) == len(known), (len(values), len(known))
        apart, tokens = max(apart, float(abs(values - known).max())), tokens + len(values)
    return tokens, apart


def name_special_tokens(place: Path, tokens: dict[str, str]) -> None:
    file = place / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **tokens}))


def as_reference(place: str) -> None:
    """Print the probability of every token of each text, as the reference computes it."""
    import tiktoken
    from llmlingua import PromptCompressor, prompt_compressor

    # Its budget is counted with a vocabulary that it fetches; probabilities need none.
    tiktoken.encoding_for_model = lambda _: SimpleNamespace(encode=str.split)
    compressor = PromptCompressor(
        place,
        device_map="cpu",
        use_llmlingua2=True,
        llmlingua2_config={"max_batch_size": 1},
    )
    compressor.max_seq_len = LENGTH
    found: list[list[float]] = []

    def listen(tokens, token_probs, *others, **named):  # type: ignore[no-untyped-def]
        pairs = zip(tokens, token_probs, strict=True)
        found.append([float(p) for t, p in pairs if t not in compressor.special_tokens])
        raise Heard

    compressor._PromptCompressor__merge_token_to_word = listen
    texts = json.load(sys.stdin)
    said = {}
    for how in ("as published", "framed as the model is"):
        found.clear()
        for text in texts:
            with contextlib.suppress(Heard):
                compressor._PromptCompressor__compress([[text]], reduce_rate=0.5)
        said[how] = list(found)
        dataset = prompt_compressor.TokenClfDataset
        prompt_compressor.TokenClfDataset = partial(dataset, model_name=place)
    print(json.dumps(said))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-reference"]:
        as_reference(sys.argv[2])
    else:
        main()
