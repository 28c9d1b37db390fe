"""What must not be cut in two: names, numbers, dates, units, identifiers, paths, URLs, quotes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import regex

from unabridged.recovery.words import LETTER, UNSPACED

EntityKind = Literal["word", "name", "number", "date", "unit", "identifier", "path", "url", "quote"]

MOST_WORDS = 10
"""Words of the longest entity that is restored; longer ones are left as they are."""

UNITS = (
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
_NUMBER = r"[-+−]?\p{Sc}?\p{Nd}+(?:[.,:/'’\u066b\u066c-]\p{Nd}+)*+"
_CAPITAL = rf"\p{{Lu}}(?:(?![{UNSPACED}\p{{Hangul}}])[\p{{L}}\p{{M}}\p{{N}}])*+"
_HYPHENS = rf"(?:[-'’&](?:{LETTER})++)*+"
_LINK = (
    r"of|the|de|la|le|les|du|des|del|della|di|da|dos|das|do|van|von|der|den|ter|zu|zur|af|av|bin|ibn"
    r"|al|el|ul|y|e|für|und"
)
_PROPER = rf"(?:{_CAPITAL}{_HYPHENS}|\p{{Lu}}\.(?:\p{{Lu}}\.)*+)"

ENTITY = regex.compile(
    r"(?P<url>(?:\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://|\bwww\.)[^\s<>\"'“”‘’「」（）\])}]+[\p{L}\p{N}/])"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<path>(?<![\w/])(?:[A-Za-z]:[\\/]|~?/|\.{1,2}/)[\w.@+-]+(?:[/\\][\w.@+-]+)*"
    r"|(?<![\w/])[\w.@+-]+(?:/[\w.@+-]+)+\.\w+)"
    rf"|(?P<date>(?:{_CAPITAL}\.? \p{{Nd}}{{1,2}}(?:st|nd|rd|th)?,? \p{{Nd}}{{4}}(?!\p{{Nd}})"
    rf"|(?<!\p{{Nd}})\p{{Nd}}{{1,2}}(?:st|nd|rd|th|\.)? (?:de )?\p{{L}}+\.?,? (?:de )?\p{{Nd}}{{4}}(?!\p{{Nd}})"
    r"|\p{Nd}{4}\s?[年년]\s?\p{Nd}{1,2}\s?[月월](?:\s?\p{Nd}{1,2}\s?[日일])?))"
    r"|(?P<identifier>(?<![\w.-])(?=[\w.-]*[\p{Nd}_])(?=[\w.-]*[A-Za-z_])"
    r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*+(?![\w]))"
    rf"|(?P<unit>{_NUMBER}(?:[\s\u00a0]?(?:{UNITS})(?![\p{{L}}\p{{N}}])|\s?[%‰℃℉€£¥₩]|(?:{_GLUED})+))"
    rf"|(?P<number>{_NUMBER})"
    rf"|(?P<name>{_PROPER}(?:[ \u00a0](?:(?:{_LINK})[ '’])*+(?:{_PROPER}|\p{{Nd}}+(?![.,:]?\p{{Nd}})))*+"
    r"|[\p{Han}々]++(?:[·・‧•][\p{Han}々]++)++"
    r"|[\p{Katakana}ー]++(?:[・＝=][\p{Katakana}ー]++)*+)"
)
"""One entity. The order of the alternatives decides where two could begin."""

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


def entities(text: str, start: int = 0, end: int | None = None) -> Iterator[Entity]:
    """The entities of `text` in order; no two overlap."""
    for found in ENTITY.finditer(text, start, len(text) if end is None else end):
        kind = found.lastgroup
        yield Entity("identifier" if kind == "email" else kind, found.start(), found.end())


def quotes(text: str) -> Iterator[Entity]:
    """The short quoted phrases of `text`, quotation marks included; they may hold entities."""
    for found in _QUOTE.finditer(text):
        yield Entity("quote", found.start(), found.end())
