"""The lines of a program that stands in a text without a fence around it."""

from __future__ import annotations

import regex

from unabridged.compression.prompt import Span

_PARAGRAPH = regex.compile(r"[^\n]*\S[^\n]*+(?:\n[^\n]*\S[^\n]*+)*+")
_LINE = regex.compile(r"[^\n]+")
_WORDS = (
    r"def|class|async|func|fn|function|public|private|protected|static|if|elif|else|for|while|try"
    r"|except|finally|with|catch|switch|case|match|struct|enum|interface|impl|do|namespace"
)
_CODE = regex.compile(
    rf"(?:@\w[\w.]*+(?:\(.*)?"  # a decorator
    rf"|\}}?\s*(?:{_WORDS})\b.*[:{{]"  # what opens a block
    r"|(?:import|from|package|using|use|export|\#include|require)\s+[\w.<\"'{*][^?!]*+(?<![.?!,])"
    r"|(?:return|raise|throw|yield|await|assert|break|continue|pass|del|global)\b[^?!]*+(?<![.?!,])"
    r"|(?:(?:const|let|local|var|final|static|auto|int|float|double|char|bool|void|String)\b)?+"
    r"[\s*&]*+[A-Za-z_$][\w.$\[\]\"'<>]*+(?:\s*+:\s*+[\w.\[\], |]++)?\s*+"
    r"(?:[-+*/|&^%:]|<<|>>)?=(?!=).*"  # an assignment
    r"|[A-Za-z_$][\w.$]*+(?:\[[^\]]*+\])?\(.*[,;:(){}\[\]]"  # a call
    r"|.*[{};]|.*[)\]}\w\"'][;,]?\s*\{|[\])}]++[\s\])};,]*+)\s*",
)
_CALLED = regex.compile(r"\w[(\[]|[={}]|->|::")
"""What a line that ends in a semicolon has in a program, and seldom in a list of clauses."""


def program_lines(text: str) -> list[Span]:
    """The lines of each paragraph of which at least half are code, two lines or more; beside such a
    paragraph one line is enough. Each with the line break before it. A list, a table or a
    legal clause is none."""
    paragraphs = [match.span() for match in _PARAGRAPH.finditer(text)]
    read = [[line.span() for line in _LINE.finditer(text, *span)] for span in paragraphs]
    strong = [sum(_is_code(text[a:b]) for a, b in lines) for lines in read]
    most = [n > 0 and 2 * n >= len(lines) for n, lines in zip(strong, read, strict=True)]
    sure = [enough and n >= 2 for enough, n in zip(most, strong, strict=True)]
    found: list[Span] = []
    for i, lines in enumerate(read):
        if most[i] and any(sure[max(i - 1, 0) : i + 2]):
            found += [(a - 1 if a and text[a - 1] == "\n" else a, b) for a, b in lines]
    return found


def _is_code(line: str) -> bool:
    bare = line.strip()
    if not bare or len(bare) > 400 or _CODE.fullmatch(bare) is None:
        return False
    return not bare.endswith((";", "}")) or len(bare) < 4 or bool(_CALLED.search(bare))
