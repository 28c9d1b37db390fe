"""Pictures for the terminal: what was cut, what it cost, what came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unabridged.compression.kept import invert
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed, Segment, Span
from unabridged.policies.choose import Choice, Tried
from unabridged.policies.policy import Kind
from unabridged.policies.problem import dotted
from unabridged.recovery.text_stream import Piece

COLOURS: dict[Kind, str] = {
    "instruction": "magenta",
    "demonstration": "blue",
    "document": "cyan",
    "question": "bold yellow",
    "history": "green",
    "tool_output": "bright_cyan",
    "format": "dim",
}
CONTROL = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
"""Shown instead of control characters, one for one: an escape sequence in a prompt must not reach
the terminal, and rich drops some of them, which would shift all that is behind."""
CONTROL[ord("\r")] = " "
CUT = "strike red"
RESTORED = "bold green"


def diff(compressed: Compressed) -> RenderableType:
    """The prompt in the order of the body: what is kept as it is, what is cut struck through,
    each segment under a label with its kind, its tokens and the reason."""
    rows: list[RenderableType] = []
    for index, segment in enumerate(compressed.prompt.segments):
        if segment.kind != "format":
            rows.append(_label(compressed, index))
        rows.append(Padding(struck(segment.text, compressed.kept[index]), (0, 0, 0, 2)))
    return Group(*rows)


def struck(text: str, kept: Sequence[Span]) -> Text:
    """One text with what is not kept struck through."""
    picture = _plain(text)
    for start, end in invert(kept, len(text)):
        picture.stylize(CUT, start, end)
    return picture


def _label(compressed: Compressed, index: int) -> Text:
    segment = compressed.prompt.segments[index]
    before, after = compressed.tokens_before[index], compressed.tokens_after[index]
    tokens = f"{before} tokens" if before == after else f"{before} → {after} tokens"
    return Text.assemble(
        _tag(segment.kind), (f"  {tokens}  {compressed.why[index]}".translate(CONTROL), "dim")
    )


def _tag(kind: Kind) -> Text:
    return Text(f"▎{kind.replace('_', ' ')}", COLOURS[kind])


def place(segment: Segment) -> str:
    """Where a segment stands, such as `messages[1].content:120`; the offset alone in a plain
    text."""
    return f"{dotted(segment.where.path) or 'text'}:{segment.where.start}"


def parts_table(compressed: Compressed) -> Table:
    """Tokens before and after, by part."""
    table = grid("part", "#before", "#after", "#kept")
    kinds = list(dict.fromkeys(s.kind for s in compressed.prompt.segments))
    for kind in sorted(kinds, key=list(COLOURS).index):
        own = [i for i, s in enumerate(compressed.prompt.segments) if s.kind == kind]
        before = sum(compressed.tokens_before[i] for i in own)
        after = sum(compressed.tokens_after[i] for i in own)
        row(
            table,
            _kind(kind),
            str(before),
            str(after),
            share(after, before),
        )
    before, after = sum(compressed.tokens_before), sum(compressed.tokens_after)
    table.add_section()
    row(table, "all", str(before), str(after), share(after, before), style="bold")
    return table


def segments_list(compressed: Compressed, plan: Plan) -> RenderableType:
    """Each segment: what it is, how it begins, why it is held for that, what it keeps and why."""
    rows: list[RenderableType] = []
    for index, segment in enumerate(compressed.prompt.segments):
        if segment.kind == "format":
            continue
        before, asked = compressed.tokens_before[index], plan.asked_of(index)
        numbers = f"{before} tokens, asked {asked}, keeps {compressed.tokens_after[index]}"
        begins = " ".join(segment.text[:400].split())
        rows.append(Text.assemble(_tag(segment.kind), (f"  {place(segment)}  {numbers}", "dim")))
        rows.append(entry(begins if len(begins) <= 70 else begins[:69] + "…"))
        rows.append(entry(f"found: {segment.why}", "dim"))
        rows.append(entry(f"kept:  {compressed.why[index]}", "dim"))
    return Group(*rows)


def entry(said: str, style: str = "") -> Padding:
    """An indented line."""
    return Padding(Text(said.translate(CONTROL), style), (0, 0, 0, 2))


def receipt_table(receipt: Mapping[str, object]) -> Table:
    """A receipt, name by name; what is unknown is left out."""
    table = grid("receipt", "")
    for name, value in receipt.items():
        if value is not None and value != "":
            row(
                table,
                name.removeprefix("x-unabridged-").replace("-", " ").replace("_", " "),
                str(value),
            )
    return table


def explained(
    choice: Choice, compressed: Compressed, plan: Plan, tries: Sequence[Tried] = ()
) -> RenderableType:
    """The route, the policy and what each segment would keep."""
    head = grid("", "")
    head.show_header = False
    policy = choice.policy
    target = f"rate {policy.rate:g}" if policy.rate is not None else "no rate"
    if policy.target_tokens is not None:
        target = f"{policy.target_tokens} tokens"
    for one in tries:
        if one.fits:
            break
        row(head, "not", f"route {one.route!r}: {one.why}")
    row(head, "route", choice.why)
    row(head, "policy", f"{choice.policy_name} ({policy.compressor}, {target})")
    row(head, "upstream", f"{choice.upstream_name}, {choice.upstream.url}")
    for note in filter(None, (compressed.prompt.note, plan.why)):
        row(head, "note", note)
    return Group(head, segments_list(compressed, plan), parts_table(compressed))


def recovered(text: str, edits: Sequence[Piece]) -> Text:
    """An answer in its original wording, with what was restored in colour.

    `text` is the answer after recovery; an edit names its place in the answer as it came.
    """
    spans, moved = [], 0
    for edit in edits:
        start = edit.start + moved
        spans.append((start, start + len(edit.now)))
        moved += len(edit.now) - (edit.end - edit.start)
    return highlighted(text, spans)


def highlighted(text: str, spans: Iterable[Span], style: str = RESTORED) -> Text:
    """A text with some stretches of it in colour."""
    picture = _plain(text)
    for start, end in spans:
        picture.stylize(style, start, end)
    return picture


def _plain(text: str) -> Text:
    return Text(text.translate(CONTROL).rstrip("\n"))


def _kind(kind: Kind) -> Text:
    return Text(kind.replace("_", " "), COLOURS[kind])


def share(part: int, whole: int) -> str:
    """`47 %`; of nothing, nothing."""
    return f"{part / whole:.0%}".replace("%", " %") if whole else ""


def grid(*columns: str) -> Table:
    """Columns whose name starts with # hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in columns:
        if name.startswith("#"):
            table.add_column(name[1:], justify="right", no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    return table


def row(table: Table, *cells: str | Text, style: str | None = None) -> None:
    """Square brackets in a cell are text, not markup."""
    table.add_row(*(_plain(c) if isinstance(c, str) else c for c in cells), style=style)
