"""What a compressor must not cut inside, and what it must not drop alone."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

import regex

from unabridged.compression.kept import Spans, disjoint, normalise
from unabridged.compression.program import program_lines
from unabridged.compression.prompt import Span

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_UNIT = (
    r"(?:\s?(?:[%‰℃℉°]|\p{Sc})|\s?(?:°[CF]|[kKMGTP]i?[Bb](?:ps)?|[kKMG]?Hz|[kKMG]?[Ww]h?|[munpk]?m[²³]?"
    r"|cm|[mµuk]?g|[mk]?[lL]|[mµun]?s|min|h|hrs?|ft|in|mi|lbs?|oz|mph|bps|dpi|px|pt|[kM]?V|m?A|Pa|kPa"
    r"|[AaPp]\.?[Mm]\.?|million|billion|trillion|thousand|hundred|percent|per cent|dozen"
    r"|Millionen|Milliarden|millones|тыс|млн|млрд|مليون|مليار)(?![\p{L}\p{N}])"
    r"|[年月日時时分秒円元人名歳岁個个件万億亿千百兆％回本台]{1,3}|[년월일시분초원명개세만억조천백회]{1,3})"
)
_PATTERNS = tuple(
    regex.compile(pattern)
    for pattern in (
        # URLs, then e-mail addresses, then paths.
        r"(?:(?<![\w])[a-zA-Z][a-zA-Z0-9+.-]{1,15}://|(?<![\w.])www\.)[^\s<>\"'`「」『』（）]+",
        r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+",
        r"(?<![\w/.\\~])(?:[A-Za-z]:[\\/]|~/|\.{1,2}/|/)[\w.@+\-]++(?:[\\/][\w.@+\-]*+)*+",
        # Numbers with sign, currency, separators and unit, repeated as in 2019年5月3日.
        rf"(?:[-+−±#№]?\p{{Sc}}\s?|\p{{Sc}}[-−]|[-+−±#№])?+(?<![\p{{Latin}}\p{{Cyrillic}}\p{{Greek}}\p{{N}}_.,])\p{{Nd}}++(?:[.,:/’'٫٬–-]\p{{Nd}}++)*+{_UNIT}?"
        rf"(?:\s?\p{{Nd}}++(?:[.,:]\p{{Nd}}++)*+{_UNIT})*+",
        rf"\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}}\b)?",
        rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}}\b)?",
        # Identifiers: digits, underscores, dots, hyphens, camelCase.
        r"(?<![A-Za-z0-9_])[A-Za-z0-9_]++(?:(?:[._\-:@/]|::|->)[A-Za-z0-9_]++)++(?:\(\))?",
        r"(?<![A-Za-z0-9_])[A-Za-z]*+[0-9_][A-Za-z0-9_]*+(?:\(\))?",
        r"(?<![A-Za-z0-9_])[A-Za-z]++\(\)",
        # Code spans and quoted strings.
        r"(?<!`)(`{1,2})(?!`)[^`\n]{1,200}\1(?!`)",
        r"(?<![\w\"])\"(?=[^\s\"])[^\"\n]{1,120}(?<=\S)\"(?!\w)",
        r"“[^“”\n]{1,120}”|«[^«»\n]{1,120}»|「[^「」\n]{1,120}」|『[^『』\n]{1,120}』|„[^„“”\n]{1,120}[“”]",
    )
)
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[^u])", re.DOTALL)
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_FENCE = re.compile(r"^[ \t]{0,8}(?:>[ \t]?)*(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_JSON_START = re.compile(r"(?:^|(?<=[\s:=`>(]))[{\[](?=\s*[\"{\[\]}\d\-tfn])")

_NEGATIONS = regex.compile(
    # English and its modals: what is allowed, required or forbidden turns on one word.
    r"\b(?:not|no|never|none|nor|neither|nothing|nobody|nowhere|cannot|without|unless|except|only"
    r"|must|shall|should|may|might|\p{L}+n['’]t)\b"
    r"|\b(?:nicht|kein\w{0,2}|nie|niemals|nichts|ohne|weder|nur|außer|muss|müssen|darf|dürfen|soll)\b"
    r"|\b(?:ne|pas|jamais|aucune?|sans|rien|sauf|doit|doivent|non)\b"
    r"|\b(?:nunca|jamás|ningun[oa]?|ningún|sin|nada|tampoco|solo|sólo|debe|deben|não|nem|sem)\b"
    r"|\b(?:не|ни|нет|никогда|никто|ничего|без|нельзя|только|должен|должна|должны|кроме)\b"
    r"|[不没沒无無未非别別勿莫]|必须|必須|不得|禁止|只能|除非|ない|なかった|ません|ぬ(?=\W)|ずに|べき"
    r"|(?<![\p{L}])(?:안|못)(?![\p{L}])|(?:않|없|아니|아닌|말아|말라|지\s?마|금지|못하|못했|모르)\p{Hangul}*"
    r"|(?<![\p{L}])(?:و?لا|لم|لن|ليس\w{0,2}|غير|بدون|دون|ما لم|إلا|يجب|ممنوع)(?![\p{L}])",
    regex.IGNORECASE,
)


def whole(text: str, patterns: Sequence[str] = (), *, escaped: bool = False) -> Spans:
    """Spans that survive whole or go whole: numbers with units, dates, URLs, addresses, paths,
    identifiers, code (a fence as one, a program without one line by line), quoted strings, JSON,
    and what a policy's own `protect` patterns match.

    Spans that only touch are merged, which is harmless: they stand for one thing mostly. Lines
    of a program touch and stay apart. `escaped`: the text is the inside of a JSON string.
    """
    found: list[Span] = [match.span() for p in _PATTERNS for match in p.finditer(text)]
    found.extend(_read(text, fences, escaped))
    found.extend(_read(text, objects, escaped))
    found.extend(_matches(text, patterns))
    return tuple(disjoint([*normalise(found), *code_lines(text, escaped=escaped)]))


def code_lines(text: str, *, escaped: bool = False) -> list[Span]:
    """The lines of programs without a fence. `escaped`: the text is the inside of a JSON string."""
    return _read(text, program_lines, escaped)


def _read(text: str, find: Callable[[str], Iterable[Span]], escaped: bool) -> list[Span]:
    """What is found in a text, or in what the inside of a JSON string stands for."""
    if not escaped or "\\" not in text:
        return list(find(text))
    # For each escape: the offset behind it in what is meant, and how much longer the text is.
    behind, longer = [0], [0]
    for match in _ESCAPE.finditer(text):
        longer.append(longer[-1] + match.end() - match.start() - 1)
        behind.append(match.end() - longer[-1])

    def place(offset: int) -> int:
        return offset + longer[bisect_right(behind, offset) - 1]

    found = find(_ESCAPE.sub(lambda match: _meant(match.group()), text))
    return [(place(start), place(end)) for start, end in found]


def _meant(escape: str) -> str:
    return chr(int(escape[2:], 16)) if len(escape) > 2 else _MEANT.get(escape[1], escape[1])


def always(text: str, force: Sequence[str] = ()) -> Spans:
    """What a token dropper keeps whatever it scores: negations and modals of several languages,
    and what a policy's `force` patterns match."""
    return normalise([*(m.span() for m in _NEGATIONS.finditer(text)), *_matches(text, force)])


def forced(text: str, force: Sequence[str]) -> Spans:
    """What a policy's `force` patterns match: it survives in every compressor."""
    return normalise(_matches(text, force))


def fences(text: str) -> Spans:
    """Fenced code blocks with their fences; one that never closes runs to the end."""
    if "```" not in text and "~~~" not in text:
        return ()
    found: list[Span] = []
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            if match[1][0] == "~" or "`" not in match[2]:
                opened = match
        elif match[1].startswith(opened[1]) and not match[2].strip():
            found.append((opened.start(), match.end()))
            opened = None
    if opened is not None:
        found.append((opened.start(), len(text)))
    return tuple(found)


def objects(text: str) -> Spans:
    """JSON objects and arrays, anywhere in a text, that parse."""
    found: list[Span] = []
    decoder = json.JSONDecoder()
    reached = tries = 0
    for match in _JSON_START.finditer(text):
        # Each start that does not parse may read far: a bounded number of them is tried.
        if match.start() < reached or tries >= 64:
            continue
        try:
            _, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            tries += 1
            continue
        found.append((match.start(), end))
        reached = end
    return tuple(found)


def is_json(text: str) -> bool:
    """True if the whole text, but for white space around it, is a JSON object or array."""
    core = text.strip()
    if not core or core[0] not in "{[" or core[-1] not in "}]":
        return False
    try:
        json.loads(core)
    except (ValueError, RecursionError):
        return False
    return True


def _matches(text: str, patterns: Iterable[str]) -> Iterator[Span]:
    for pattern in patterns:
        yield from (match.span() for match in re.finditer(pattern, text))
