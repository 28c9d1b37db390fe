"""Measures what recovery restores in real replies, and that it breaks nothing.

    python tests/bench/recovery.py --data DIR [--rows 60] [--failures 5] [--markdown]

DIR holds prompts/*.jsonl. Each prompt is compressed at 2x and 4x. Where an entity of a reply
was shortened everywhere in the compressed prompt, its shortened form is put into the reply, as
a model that copied it would, and the reply is restored. The reply itself is restored too: it
needs nothing, so nothing may change.
"""

# ruff: noqa: E501  (patterns and samples read better unbroken)
from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import regex
import tiktoken

from unabridged.compression.kept import clip, extract, normalise
from unabridged.compression.prompt import Span
from unabridged.compression.sentences import sentences, words
from unabridged.compression.tokens import counter
from unabridged.recovery.entities import MOST_WORDS, entities, quotes
from unabridged.recovery.index import Index
from unabridged.recovery.restore import restore
from unabridged.recovery.shorten import squeeze
from unabridged.recovery.text_stream import TextRestorer
from unabridged.recovery.words import WORD, inside

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
    shortened: Counter[str] = field(default_factory=Counter)
    restored: Counter[str] = field(default_factory=Counter)
    edits_on_whole: int = 0
    edits_on_source: int = 0
    changed_outside: int = 0
    broken: int = 0
    chopped_unlike_whole: int = 0
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def shortened_in(
    reply: str, texts: list[str], kept: list[Spans]
) -> Iterator[tuple[Span, str, str]]:
    """Each entity of a reply that stands in the prompt and is whole nowhere in what was sent:
    its place, what is left of it, and which case that is."""
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
        whole = False
        for text, spans in zip(texts, kept, strict=True):
            for at in _places(text, name):
                left = extract(text, clip(spans, at, at + len(name)))
                if _runs_on(text, spans, at, at + len(name)):
                    continue
                whole = whole or left == name
                forms.add(_closed(squeeze(left)))
        forms = {f for f in forms if WORD.search(f)}
        if whole or not forms:
            continue
        form = min(forms, key=lambda f: (-len(f), f))
        yield (start, entity.end), form, _case(form, name, entity.kind, originals, flat)


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


def measure(row: Row, name: str, rate: float, tally: Tally, known: Any) -> None:
    """Compress one prompt, damage its replies, restore them, count."""
    chance = random.Random(f"{row['id']} {name} {rate}")
    texts = texts_of(row)
    kept = [DROPPERS[name](text, rate, chance) for text in texts]
    index = Index.of_spans(texts, kept, known)
    for text in texts:
        for edit in restore(text, index).edits:
            tally.edits_on_source += 1
            tally.failures["edited the source"].append(
                f"{edit.was!r} -> {edit.now!r}: {edit.why} {text[max(0, edit.start - 40) : edit.end + 40]!r}"
            )
    for reply in replies_of(row):
        tally.replies += 1
        for edit in restore(reply, index).edits:
            tally.edits_on_whole += 1
            tally.failures["edited a right reply"].append(
                f"{edit.was!r} -> {edit.now!r} in {row['id']}: {edit.why} {reply[max(0, edit.start - 40) : edit.end + 40]!r}"
            )
        for (start, end), form, case in shortened_in(reply, texts, kept):
            damaged = reply[:start] + form + reply[end:]
            tally.shortened[case] += 1
            restored = restore(damaged, index)
            if restored.text == reply:
                tally.restored[case] += 1
            else:
                why = "; ".join(p.why for p in restored.refusals)
                tally.failures[case].append(
                    f"{form!r} <- {reply[start:end]!r} {why} {restored.text[max(0, start - 30) : start + 50]!r}"
                )
            outside = restored.text.startswith(reply[:start]) and restored.text.endswith(
                reply[end:]
            )
            if not outside:
                tally.changed_outside += 1
                tally.failures["outside"].append(
                    f"{damaged[:200]!r} {[(e.was, e.now) for e in restored.edits]}"
                )
            others = [
                reply[e.start : e.end] for e in entities(reply) if e.end <= start or e.start >= end
            ]
            tally.broken += any(restored.text.count(o) < damaged.count(o) for o in others)
            if not chopped(damaged, index, chance):
                tally.chopped_unlike_whole += 1
                tally.failures["chopped"].append(repr(damaged))


def vocabulary() -> Callable[[str], bool]:
    """Whether a string is a single token, as the words of many languages are."""
    encoding = tiktoken.get_encoding("o200k_base")

    def known(word: str) -> bool:
        return len(encoding.encode_ordinary(" " + word)) == 1

    return known


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--failures", type=int, default=0)
    parser.add_argument("--known", action="store_true")
    options = parser.parse_args()
    counter("gpt-4o")("")  # points tiktoken at the encodings that are installed
    known = vocabulary() if options.known else None
    for name in DROPPERS:
        for rate in (0.5, 0.25):
            tally = Tally()
            began = time.perf_counter()
            for part in SETS:
                path = options.data / "prompts" / f"{part}.jsonl"
                lines = path.read_text().splitlines()[: options.rows]
                for row in map(json.loads, lines):
                    measure(row, name, rate, tally, known)
            total, good = sum(tally.shortened.values()), sum(tally.restored.values())
            print(
                f"{name} {1 / rate:.0f}x: {tally.replies} replies, {total} shortened, {good} restored ({good / max(1, total):.3f}); edits on right replies {tally.edits_on_whole}, on the prompt itself {tally.edits_on_source}, changed outside {tally.changed_outside}, broken {tally.broken}, chopped unlike whole {tally.chopped_unlike_whole}; {time.perf_counter() - began:.1f} s"
            )
            for case, count in sorted(tally.shortened.items()):
                print(
                    f"    {case}: {tally.restored[case]}/{count} = {tally.restored[case] / count:.3f}"
                )
            for case, found in tally.failures.items():
                for line in found[: options.failures]:
                    print("      -", case, line)


if __name__ == "__main__":
    main()
