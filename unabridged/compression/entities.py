"""What must not be cut in two: names, numbers, dates, units, identifiers, paths, URLs, quotes."""

# ruff: noqa: E501  (patterns and samples read better unbroken)
from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import regex

from unabridged.compression.western import twofold
from unabridged.compression.words import pattern

EntityKind = Literal["word", "name", "number", "date", "unit", "identifier", "path", "url", "quote"]

MOST_WORDS = 10
"""Words of the longest entity that is restored; longer ones are left as they are."""

_UNITS = (
    r"km/h|km²|km2|m²|m3|m³|cm²|km|cm|mm|µm|nm|m|kg|mg|µg|g|lbs?|oz|ft|mi|mph|kWh|MWh|GWh|kW|MW|GW|W"
    r"|kB|KB|MB|GB|TB|bits?|bytes?|Hz|kHz|MHz|GHz|°\s?[CF]|K|ms|mins?|hrs?|dB|V|A|kcal|hPa|bar|psi"
    r"|percent|per cent|thousand|million|billion|trillion|hundred"
    r"|dollars?|euros?|pounds?|yen|won|yuan|rubles?|rupees?|francs?|USD|EUR|GBP|JPY|KRW|CNY|CHF"
    r"|kilomet(?:er|re)s?|met(?:er|re)s?|centimet(?:er|re)s?|millimet(?:er|re)s?|miles?|feet|foot"
    r"|inch(?:es)?|yards?|acres?|hectares?|tons?|tonnes?|kilograms?|grams?|lit(?:er|re)s?|gallons?"
    r"|degrees?|hours?|minutes?|seconds?|days?|weeks?|months?|years?|people|inhabitants"
    r"|Millionen|Milliarden|Tausend|Prozent|Kilometer|Meter|Jahren?|Einwohner"
    r"|millones|mil|kilómetros|metros|años|habitantes|kilomètres|mètres|ans|habitants|millions"
    r"|тыс|млн|млрд|км|кг|м|руб|рублей|лет|человек|процентов|كم|متر|كيلومتر|مليون|مليار|دولار|ألف"
)
_GLUED = (
    r"킬로미터|센티미터|미터|킬로그램|퍼센트|달러|유로|억|만|조|천|원|명|개|년|월|일|세|위|층|회|번|시간|분|초"
    r"|公里|千米|平方公里|厘米|米|公斤|千克|万|萬|亿|億|元|円|人|年|月|日|岁|歳|キロ|メートル|ドル|ユーロ|個|名|回|度"
)
_NUMBER = r"[-+−]?\p{Sc}?\p{Nd}++(?:[.,:/'’\u066b\u066c-]\p{Nd}++)*+"
_DATE = (
    r"\p{Lu}[\p{L}\p{M}]*+\.? \p{Nd}{1,2}(?:st|nd|rd|th)?,? \p{Nd}{4}(?!\p{Nd})"
    r"|(?<!\p{Nd})\p{Nd}{1,2}(?:st|nd|rd|th|\.)? (?:de )?[\p{L}\p{M}]++\.?,? (?:de )?\p{Nd}{4}(?!\p{Nd})"
    r"|\p{Nd}{4}\s?[年년]\s?\p{Nd}{1,2}\s?[月월](?:\s?\p{Nd}{1,2}\s?[日일])?"
)
_EXACT = twofold(
    r"(?P<url>(?:\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://|\bwww\.)[^\s<>\"'“”‘’「」（）\])}]+[\p{L}\p{N}/])"
    r"|(?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<path>(?<![\w/])(?:[A-Za-z]:[\\/]|~?/|\.{1,2}/)[\w@+-]+(?:[./\\][\w@+-]+)*+"
    r"|(?<![\w/.@+-])[\w.@+-]+(?:/[\w@+-]++(?:\.[\w@+-]++)*+(?=/[\w@+-]))*+"
    r"/[\w@+-]++(?:\.[\w@+-]++(?=\.[\w@+-]))*+\.\w++(?![@+-]))"
    rf"|(?P<date>{_DATE})"
    r"|(?P<identifier>(?<![\w.-])(?=[\w.-]*[\p{Nd}_])(?=[\w.-]*[A-Za-z_])"
    r"[A-Za-z0-9]++(?:[_.-][A-Za-z0-9]++)*+(?!\w))"
    rf"|(?P<unit>{_NUMBER}(?:[\s\u00a0]?(?:{_UNITS})(?![\p{{L}}\p{{N}}])|\s?[%‰℃℉€£¥₩]|(?:{_GLUED})+))"
    rf"|(?P<number>{_NUMBER})"
)
"""Entities that hold a digit or a mark of a path or identifier. Slow, so it only ever looks
around such a character."""
_NEAR = 30
"""Characters behind a mark in which most entities end; a longer one that is whole up to there
is found by a later mark, or not at all."""
_MARK = re.compile(r"\d+|[_@\\/]")

_CAPITAL = r"\p{Lu}[\p{L}\p{M}]*+(?:[-'’&][\p{L}\p{M}\p{N}]++)*+"
_PROPER = rf"(?:\p{{Lu}}\.(?:\p{{Lu}}\.)*+|{_CAPITAL})"
_LINK = (
    r"of|the|de|la|le|les|du|des|del|della|di|da|dos|das|do|van|von|der|den|ter|zu|zur|af|av|bin|ibn"
    r"|al|el|ul|y|e|für|und"
)
_NUMERAL = r"\p{Nd}{1,3}+(?![\p{L}\p{N}]|[.,:/-]\p{Nd})"
_NAME = twofold(
    rf"(?<![\p{{L}}\p{{N}}]){_PROPER}"
    rf"(?:[ \u00a0](?:(?:{_LINK})[ '’])*+{_PROPER})*+(?:[ \u00a0]{_NUMERAL})?"
)
_FOREIGN_NAME = regex.compile(
    r"[\p{Katakana}ー]++(?:[・＝=][\p{Katakana}ー]++)*+|\p{Han}++(?:[·・‧•]\p{Han}++)++"
)
_QUOTE = regex.compile(
    r"\"[^\"\n]{3,120}\"|“[^“”\n]{3,120}”|«[^«»\n]{3,120}»|「[^「」\n]{3,80}」|『[^『』\n]{3,80}』"
    r"|《[^《》\n]{2,80}》|„[^„“\n]{3,120}“"
)


@dataclass(frozen=True, slots=True)
class Entity:
    """A stretch of the original that means one thing."""

    kind: EntityKind
    start: int
    end: int


def entities(text: str, edges: Sequence[int] | None = None) -> list[Entity]:
    """The entities of `text` in order, none inside another; with `edges`, offsets in order, only
    those that one of them lies inside of."""
    found = list(_exact(text, edges))
    pattern = _NAME.of(text)
    for names in (pattern,) if text.isascii() else (pattern, _FOREIGN_NAME):
        for name in names.finditer(text):
            start, end = name.span()
            if edges is None or _any_inside(edges, start, end):
                found.append(Entity("name", start, end))
    found.sort(key=lambda one: (one.start, -one.end))
    outer: list[Entity] = []
    for one in found:
        if not outer or one.start >= outer[-1].end:
            outer.append(one)
        elif one.end - one.start > outer[-1].end - outer[-1].start:
            outer[-1] = one
    return outer


def _any_inside(edges: Sequence[int], start: int, end: int) -> bool:
    i = bisect_right(edges, start)
    return i < len(edges) and edges[i] < end


def opening(text: str, name: Entity) -> tuple[str, Entity] | None:
    """The first word of a name where it may only begin a sentence ("While" in While Steffy
    Forrester), and the name without it; None elsewhere."""
    before = text[max(0, name.start - 3) : name.start]
    if before.rstrip() and before.rstrip()[-1] not in '.!?:;\n•*-"“' and "\n" not in before:
        return None
    words = pattern(text).finditer(text, name.start, name.end)
    first = next(words)
    # Behind it, "the" or "of" is no beginning of a name either.
    second = next((word for word in words if not word.group()[0].islower()), None)
    return second and (first.group(), Entity("name", second.start(), name.end))


def _exact(text: str, edges: Sequence[int] | None) -> Iterator[Entity]:
    exact, done = _EXACT.of(text), 0
    for mark in _MARK.finditer(text):
        at = mark.start()
        if at < done:
            continue
        low, high = max(done, at - 40), min(len(text), at + 60)
        if edges is not None and not _any_inside(edges, low, at + _NEAR):
            continue
        low = _back(text, low, at)
        for found in exact.finditer(text, low, max(high, low)):
            if found.start() > at:
                break
            if found.end() <= at:
                continue
            done, end = found.end(), found.end()
            if end == high:
                whole = exact.match(text, found.start(), min(len(text), high + 400))
                done = end = whole.end() if whole else end
            kind = cast(EntityKind, found.lastgroup).replace("email", "identifier")
            if edges is None or _any_inside(edges, found.start(), end):
                yield Entity(cast(EntityKind, kind), found.start(), end)
            break


def _back(text: str, low: int, at: int) -> int:
    """Far enough before a mark for all of what it stands in, and for the month of a date."""
    space = text.rfind(" ", low, at)
    before = text.rfind(" ", low, space) if space >= 0 else -1
    if before >= 0 and text[before + 1 : space].islower():
        return space + 1
    return before + 1 if before >= 0 else low


def quotes(text: str) -> Iterator[Entity]:
    """The short quoted phrases of `text`, quotation marks included; they may hold entities."""
    for found in _QUOTE.finditer(text):
        yield Entity("quote", found.start(), found.end())
