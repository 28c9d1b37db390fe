"""Measures what the split finds in real prompts, rendered in the shapes that people use.

    python tests/bench/split.py --data DIR [--parity even|odd|all] [--failures 5]

DIR holds prompts/*.jsonl: one prompt a row with instruction, demonstrations, documents and
question, or with the messages of an agent.
"""

# Table rows stay in one piece.
# ruff: noqa: E501
from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unabridged.compression.join import join
from unabridged.compression.prompt import Prompt
from unabridged.compression.split import split
from unabridged.policies.policy import Policy

Row = dict[str, Any]
Message = dict[str, Any]
UNCUT = ("instruction", "question", "format", "history")


def _bare(question: str) -> str:
    """The question without its labels, as a person would type it."""
    lines = question.strip().split("\n")
    if lines[-1].rstrip().endswith(":") and len(lines) > 1 and len(lines[-1]) < 30:
        lines = lines[:-1]
    for label in ("Question:", "Query:", "Q:"):
        if lines[0].startswith(label):
            lines[0] = lines[0][len(label) :].strip()
    return "\n".join(lines)


def _is_json(row: Row) -> bool:
    return row["lang"] == "json"


def _plain(row: Row) -> str:
    """The documents as the set itself writes them."""
    texts = row["documents"]
    if _is_json(row):
        return str(texts[0]["text"])
    if row["set"] == "qmsum":
        return "\n".join(f"{d['title']}: {d['text']}" for d in texts)
    return "\n".join(
        f"Document [{i}](Title: {d['title']}) {d['text']}" for i, d in enumerate(texts, 1)
    )


def _text_of(row: Row, document: Row) -> str:
    named = row["set"] == "qmsum" and document["title"]
    return f"{document['title']}: {document['text']}" if named else str(document["text"])


def _source(row: Row, shape: Callable[[list[str]], str]) -> str:
    if _is_json(row) or row["set"] == "qmsum":
        return _plain(row)
    return shape([_text_of(row, d) for d in row["documents"]]) if row["documents"] else ""


def _join(*parts: str) -> str:
    return "\n\n".join(p for p in parts if p)


def _user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def _demos(row: Row) -> str:
    return "\n\n".join(row["demonstrations"])


def single(row: Row) -> list[Message]:
    return _user(
        _join(
            row["instruction"],
            _demos(row),
            _plain(row) if row["documents"] else "",
            row["question"],
        )
    )


def system_user(row: Row) -> list[Message]:
    rest = _join(_demos(row), _plain(row) if row["documents"] else "", row["question"])
    return [{"role": "system", "content": row["instruction"]}, *_user(rest)]


def question_first(row: Row) -> list[Message]:
    if not row["documents"]:
        return _user(_join(row["instruction"], _demos(row), row["question"]))
    return _user(_join(row["instruction"], row["question"], _plain(row)))


def unmarked_question_last(row: Row) -> list[Message]:
    if not row["documents"]:
        return single(row)
    return _user(_join(row["instruction"], _plain(row), _bare(row["question"])))


def tags(row: Row) -> list[Message]:
    documents = _source(
        row,
        lambda texts: "\n".join(
            f'<document index="{i}">\n{t}\n</document>' for i, t in enumerate(texts, 1)
        ),
    )
    documents = f"<documents>\n{documents}\n</documents>" if documents else ""
    demos = "\n".join(f"<example>\n{d}\n</example>" for d in row["demonstrations"])
    demos = f"<examples>\n{demos}\n</examples>" if demos else ""
    return _user(
        _join(
            row["instruction"],
            demos,
            documents,
            f"<question>\n{_bare(row['question'])}\n</question>",
        )
    )


def headings(row: Row) -> list[Message]:
    documents = _source(
        row, lambda texts: "\n\n".join(f"### Document {i}\n{t}" for i, t in enumerate(texts, 1))
    )
    return _user(
        _join(
            f"# Task\n{row['instruction']}",
            f"## Examples\n{_demos(row)}" if row["demonstrations"] else "",
            f"## Context\n{documents}" if documents else "",
            f"## Question\n{_bare(row['question'])}",
        )
    )


def numbered(row: Row) -> list[Message]:
    documents = _source(row, lambda texts: "\n".join(f"{i}. {t}" for i, t in enumerate(texts, 1)))
    return _user(_join(row["instruction"], _demos(row), documents, row["question"]))


def brackets(row: Row) -> list[Message]:
    documents = _source(
        row, lambda texts: "\n\n".join(f"[{i}] {t}" for i, t in enumerate(texts, 1))
    )
    return _user(_join(row["instruction"], _demos(row), documents, _bare(row["question"])))


def labels(row: Row) -> list[Message]:
    documents = _source(row, "\n\n".join)
    context = f"Context:\n{documents}" if documents else ""
    question = _bare(row["question"])
    return _user(_join(row["instruction"], _demos(row), context, f"Question: {question}\nAnswer:"))


def langchain(row: Row) -> list[Message]:
    documents = _source(row, "\n\n".join)
    return _user(
        _join(
            row["instruction"],
            _demos(row),
            documents,
            f"Question: {_bare(row['question'])}\nHelpful Answer:",
        )
    )


def korean_labels(row: Row) -> list[Message]:
    documents = _source(row, "\n\n".join)
    demos = [_relabel(d) for d in row["demonstrations"]]
    context = f"문맥:\n{documents}" if documents else ""
    return _user(
        _join(row["instruction"], *demos, context, f"질문: {_bare(row['question'])}\n답변:")
    )


def _relabel(demonstration: str) -> str:
    for old, new in (("Question:", "질문:"), ("Q:", "질문:"), ("\nA:", "\n답변:")):
        demonstration = demonstration.replace(old, new, 1)
    return demonstration


def few_shot_chat(row: Row) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": row["instruction"]}]
    for demonstration in row["demonstrations"]:
        asked, answer = _halves(demonstration)
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*messages, *_user(_join(_plain(row) if row["documents"] else "", row["question"]))]


def _halves(demonstration: str) -> tuple[str, str]:
    for cue in ("\nA:", "\nLet's think step by step\n"):
        asked, found, answer = demonstration.partition(cue)
        if found:
            return asked, (found + answer).strip()
    return demonstration, "Yes."


def json_array(row: Row) -> list[Message]:
    documents = _source(row, lambda texts: json.dumps(texts, ensure_ascii=False))
    return _user(_join(row["instruction"], _demos(row), documents, row["question"]))


def qa(row: Row) -> list[Message]:
    demos = [
        d.replace("Question:", "Q:", 1).replace(
            "\nLet's think step by step\n", "\nA: Let's think step by step\n", 1
        )
        for d in row["demonstrations"]
    ]
    question = f"Q: {_bare(row['question'])}\nA:"
    return _user(
        _join(row["instruction"], *demos, _plain(row) if row["documents"] else "", question)
    )


SHAPES: dict[str, Callable[[Row], list[Message]]] = {
    "single": single,
    "system+user": system_user,
    "question first": question_first,
    "no mark": unmarked_question_last,
    "tags": tags,
    "headings": headings,
    "1. 2. 3.": numbered,
    "[1] [2]": brackets,
    "labels": labels,
    "langchain": langchain,
    "labels ko": korean_labels,
    "chat shots": few_shot_chat,
    "JSON array": json_array,
    "Q: A:": qa,
}


@dataclass
class Score:
    rows: int = 0
    joined: int = 0
    instruction: int = 0
    question: int = 0
    answers: int = 0
    answers_whole: int = 0
    characters: int = 0
    recovered: int = 0
    own: int = 0
    documents: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class _Laid:
    """The strings of a prompt laid behind one another, with the segment of each character."""

    text: str
    owner: list[int]
    prompt: Prompt


def _lay(body: str, prompt: Prompt) -> _Laid:
    text, owner = [], []
    last = None
    for index, segment in enumerate(prompt.segments):
        if segment.where.path != last:
            text.append("\0")
            owner.append(-1)
            last = segment.where.path
        text.append(segment.text)
        owner.extend([index] * len(segment.text))
    return _Laid(text="".join(text), owner=owner, prompt=prompt)


def _owners(laid: _Laid, words: str, *, last: bool = False) -> set[int] | None:
    at = laid.text.rfind(words) if last else laid.text.find(words)
    return None if at < 0 else set(laid.owner[at : at + len(words)])


def _kinds(laid: _Laid, owners: set[int] | None) -> set[str]:
    segments = laid.prompt.segments
    return {"missing"} if owners is None else {segments[i].kind for i in owners}


def measure(row: Row, shape: str) -> Score:
    messages = SHAPES[shape](row)
    body = json.dumps({"model": "m", "messages": messages, "stream": False}, ensure_ascii=False)
    prompt = split(body, Policy())
    laid = _lay(body, prompt)
    score = Score(rows=1, joined=join(prompt) == body)
    score.instruction = _kinds(laid, _owners(laid, row["instruction"])) <= set(UNCUT)
    question = _bare(row["question"])
    score.question = _kinds(laid, _owners(laid, question, last=shape != "question first")) <= {
        "question",
        "instruction",
    }
    for demonstration in row["demonstrations"]:
        answer = _halves(demonstration)[1].removeprefix("A:").strip()
        owners = _owners(laid, answer)
        kinds = _kinds(laid, owners)
        score.answers += 1
        score.answers_whole += len(owners or ()) == 1 and kinds <= {"demonstration", "history"}
    _documents(row, shape, laid, score)
    for what in ("joined", "instruction", "question"):
        if not getattr(score, what):
            score.failures.append(f"{shape}: {row['id']}: {what}")
    if score.answers_whole < score.answers:
        score.failures.append(
            f"{shape}: {row['id']}: answers {score.answers_whole}/{score.answers}"
        )
    return score


def _documents(row: Row, shape: str, laid: _Laid, score: Score) -> None:
    users: dict[int, int] = defaultdict(int)
    for document in row["documents"]:
        words = document["text"]
        if shape == "JSON array" and not _is_json(row) and row["set"] != "qmsum":
            words = json.dumps(words, ensure_ascii=False)[1:-1]
        at = laid.text.find(words)
        score.documents += 1
        score.characters += len(words)
        if at < 0:
            score.failures.append(f"{shape}: {row['id']}: document missing")
            continue
        owners = laid.owner[at : at + len(words)]
        inside = [i for i in owners if i >= 0 and laid.prompt.segments[i].kind == "document"]
        score.recovered += len(inside)
        score.own += len(inside) == len(owners)
        for i in set(inside):
            users[i] += 1
    shared = [i for i, count in users.items() if count > 1]
    # A text that stands in the row twice is found at its first place both times.
    repeated = len(row["documents"]) - len({d["text"] for d in row["documents"]})
    score.own -= (
        min(score.own, max(0, sum(users[i] - 1 for i in shared) - repeated))
        if row["set"] != "qmsum"
        else 0
    )


def agent(row: Row) -> Score:
    body = json.dumps({"model": "m", "messages": row["messages"]}, ensure_ascii=False)
    prompt = split(body, Policy())
    score = Score(rows=1, joined=join(prompt) == body)
    laid = _lay(body, prompt)
    score.instruction = all(
        _kinds(laid, _owners(laid, m["content"])) <= set(UNCUT)
        for m in row["messages"]
        if m["role"] == "system" and m["content"]
    )
    score.question = all(
        _kinds(laid, _owners(laid, m["content"])) <= set(UNCUT)
        for m in row["messages"]
        if m["role"] == "user" and m["content"]
    )
    if not score.instruction or not score.question:
        score.failures.append(f"agent: {row['id']}: {score.instruction} {score.question}")
    return score


def _rows(data: Path, parity: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for path in sorted((data / "prompts").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        step = {"even": slice(0, None, 2), "odd": slice(1, None, 2), "all": slice(None)}[parity]
        found[path.stem] = rows[step]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds prompts/*.jsonl"
    )
    parser.add_argument("--parity", choices=("all", "even", "odd"), default="all")
    parser.add_argument("--failures", type=int, default=0, help="how many failures to print")
    chosen = parser.parse_args()
    failures: list[str] = []
    total: dict[str, Score] = {shape: Score() for shape in SHAPES}
    recovered: dict[str, dict[str, str]] = defaultdict(dict)
    for name, rows in _rows(chosen.data, chosen.parity).items():
        if rows and "messages" in rows[0]:
            total.setdefault("agent messages", Score())
            for row in rows:
                total["agent messages"].add(agent(row))
            continue
        for shape in SHAPES:
            score = Score()
            for row in rows:
                score.add(measure(row, shape))
            total[shape].add(score)
            if score.characters:
                recovered[name][shape] = f"{score.recovered / score.characters:.3f}"
            else:
                recovered[name][shape] = f"({score.answers_whole / max(1, score.answers):.3f})"
    print(f"rows: {chosen.parity}\n")
    print(
        "| shape | rows | joined | instruction whole | question whole | answers whole | document characters | documents apart |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for shape, s in total.items():
        share = f"{s.recovered / s.characters:.3f}" if s.characters else "-"
        own = f"{s.own / s.documents:.3f}" if s.documents else "-"
        print(
            f"| {shape} | {s.rows} | {s.joined} | {s.instruction} | {s.question} | {s.answers_whole} of {s.answers} | {share} | {own} |"
        )
        failures += s.failures
    print("\n| set | " + " | ".join(SHAPES) + " |\n|---|" + "---|" * len(SHAPES))
    for name, cells in recovered.items():
        print(f"| {name} | " + " | ".join(cells[shape] for shape in SHAPES) + " |")
    for failure in failures[: chosen.failures]:
        print(failure)


if __name__ == "__main__":
    main()
