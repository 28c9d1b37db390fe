"""Where the sentences and the words of a text begin and end, in any language.

Both functions tile the text: joined in order, the pieces are the text. White space belongs to
the piece behind it, because that is how byte-pair tokenizers see it: pieces can then be dropped
without gluing their neighbours together. No piece ever begins inside a grapheme cluster.
"""

from __future__ import annotations

import regex

from unabridged.compression.kept import coarsen, shift
from unabridged.compression.prompt import Span

LONGEST = 600
"""Characters after which a sentence without an end is divided at a clause or a word."""

_CLUSTERS = regex.compile(
    r"\r\n|[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}"
    r"\p{GCB=Regional_Indicator}\p{GCB=L}\p{GCB=V}\p{GCB=T}]"
)
_CLUSTER = regex.compile(r"\X")

# Scripts that write no spaces between words: a word is a character there.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々〆ー]"
_LETTER = rf"(?:(?!{_UNSPACED})[\p{{L}}\p{{N}}\p{{M}}_\u200c\u200d])"
_WORD = regex.compile(
    r"(?<!\s)\s*\n"
    rf"|[^\S\n]*(?:{_LETTER}+(?:['’]{_LETTER}+)*|{_UNSPACED}\p{{M}}*|[^\s\p{{L}}\p{{N}}]|\X)"
    r"|\s+",
)

_CLOSERS = r"""["'”’»)\]）】」』》〉*_]*+"""
_END = regex.compile(
    rf"(?P<stop>(?<![.!?…])[.!?…]++){_CLOSERS}(?=\s)"  # Latin, Korean: a space has to follow
    rf"|[؟۔।॥።]++{_CLOSERS}"
    rf"|[。！？｡．]++{_CLOSERS}"
    # Runs are taken from their first character or not at all: from each, a long run is quadratic.
    r"|(?<!\s)\s*\n",
)
_ABBREVIATION = regex.compile(
    r"(?:^|[\s(\[\"'“])(?:\p{Lu}|\p{L}(?:\.\p{L})+|(?:[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Ss]r|[Jj]r"
    r"|[Gg]en|[Cc]ol|[Ll]t|[Ss]gt|[Cc]apt|[Gg]ov|[Ss]en|[Rr]ep|[Rr]ev|[Hh]on|[Vv]s|[Nn]o|[Nn]os"
    r"|[Vv]ol|pp?|[Ff]igs?|[Ee]q|[Ss]ec|[Cc]h|ca|cf|approx|[Ii]nc|[Ll]td|[Cc]o|[Cc]orp|[Mm]t|[Aa]ve"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|bzw|z\.B|usw|Nr|Abs|Bd|г|гг|ул|стр|тыс|млн"
    r"|млрд|им|т\.е|т\.д|т\.п|núm|Sra?|Srta|EE\.UU|[Ee]tc|al))$"
)
_LINE_STARTS = regex.compile(r"[^\S\n]*\p{Ll}")
_ITEM = regex.compile(r"[^\S\n]*(?:[-*+•·‣◦#|>]|\(?\p{N}{1,3}[.)、])")
_CLAUSE = regex.compile(r"[,;:，、；：،؛—]\s?|\s")


def clusters(text: str) -> list[Span]:
    """The grapheme clusters of more than one character, in order.

    Cheap where there are none, which is most text: only stretches that hold a joining character
    are looked at.
    """
    if text.isascii() and "\r\n" not in text:
        return []
    found: list[Span] = []
    reached = 0
    for risky in _CLUSTERS.finditer(text):
        if risky.start() < reached:
            continue
        # A cluster begins after the last character that surely ends one; two lines of text or a
        # space do. Walking back over joiners is enough for the rest.
        start = _walk_back(text, risky.start(), reached)
        while start <= risky.start():
            end = _CLUSTER.match(text, start).end()
            if end - start > 1:
                found.append((start, end))
            start = end
        reached = start
    return found


def _walk_back(text: str, at: int, least: int) -> int:
    """A certain cluster border at or before `at`: behind ASCII that joins nothing."""
    while at > least:
        at -= 1
        if text[at] < "\x7f" and not _CLUSTERS.match(text[at]) and text[at] not in "\r\n":
            return at
    return least


def words(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Words of `text[start:end]` as spans of `text`, each with the white space before it.

    Punctuation marks and the characters of scripts without spaces are words of their own, and
    so is white space that ends a line. A Korean word is what stands between two spaces.
    """
    stop = len(text) if end is None else end
    found = [match.span() for match in _WORD.finditer(text, start, stop)]
    return coarsen(found, shift(clusters(text[start:stop]), start))


def sentences(text: str) -> list[Span]:
    """Sentences as spans, each with the white space before it; the last one takes the rest.

    List items, table rows and lines that do not run on are sentences as well.
    """
    ends: list[int] = []
    for match in _END.finditer(text):
        if match["stop"]:
            if not _abbreviated(text, match, ends[-1] if ends else 0):
                ends.append(match.end())
        elif not text[match.start() : match.end()].isspace():
            ends.append(match.end())
        elif not _runs_on(text, match.start(), match.end()):
            ends.append(match.start())
    spans: list[Span] = []
    last = 0
    for at in [*ends, len(text)]:
        if at > last and (text[last:at].strip() or not spans):
            spans.extend(_divide(text, last, at))
            last = at
    if last < len(text):
        spans[-1] = (spans[-1][0], len(text))
    return coarsen(spans, clusters(text))


def _abbreviated(text: str, match: regex.Match[str], sentence: int) -> bool:
    """True if the full stop belongs to an initial or an abbreviation, or the text goes on small."""
    if match["stop"] != ".":
        return False
    follows = text[match.end() : match.end() + 12].lstrip()[:1]
    if follows.islower():
        return True
    before = text[max(sentence, match.start() - 12) : match.start()]
    return bool(_ABBREVIATION.search(before))


def _runs_on(text: str, start: int, end: int) -> bool:
    """True if the line break text[start:end] only wraps a sentence that goes on."""
    if text.count("\n", start, end) > 1 or start == 0:
        return False
    line = text.rfind("\n", 0, start) + 1
    if start - line < 40 or not (text[start - 1].isalpha() or text[start - 1] in ",،"):
        return False
    return _LINE_STARTS.match(text, end) is not None and _ITEM.match(text, line) is None


def _divide(text: str, start: int, end: int) -> list[Span]:
    """Cut what is longer than LONGEST at its clauses or, failing that, anywhere."""
    pieces: list[Span] = []
    while end - start > LONGEST:
        cut = start + LONGEST
        marks = [m.end() for m in _CLAUSE.finditer(text, start + LONGEST // 2, cut)]
        if marks:
            cut = start + max(len(text[start : marks[-1]].rstrip()), LONGEST // 2)
        pieces.append((start, cut))
        start = cut
    pieces.append((start, end))
    return pieces
