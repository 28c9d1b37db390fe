"""`unabridged demo`: real requests through the proxy to a small model on this machine."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from unabridged import show
from unabridged.compression.prompt import Compressed, Span
from unabridged.proxy.demo_servers import (
    MODEL,
    MODEL_NAME,
    PRICE,
    DemoFailed,
    serve_model,
    serve_proxy,
)
from unabridged.proxy.receipt import Receipt
from unabridged.proxy.serve import the_steps
from unabridged.proxy.steps import Steps
from unabridged.proxy.weights import Source, default_home, pull
from unabridged.recovery.answer import Edit

if TYPE_CHECKING:
    from openai import OpenAI

ANSWER_TOKENS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A prompt, and how it is to be compressed."""

    title: str
    policy: str
    asked: dict[str, Any]
    """The request's `unabridged` object beside the policy's name."""
    messages: list[dict[str, str]]


@dataclass(slots=True)
class Witness:
    """Sees what the proxy's steps hand on: what was cut, and the answer before it was restored."""

    compressed: Compressed | None = None
    arrived: list[bytes] = field(default_factory=list)
    edits: tuple[Edit, ...] = ()

    def forget(self) -> None:
        self.compressed, self.arrived, self.edits = None, [], ()

    def steps(self) -> Steps:
        """The real steps, each looked at on its way."""
        real = the_steps()

        def index(compressed: Compressed, **how: Any) -> Any:
            self.compressed = compressed
            return real.index(compressed, **how)

        def restore_answer(body: bytes, built: Any, surface: str) -> Any:
            restored = real.restore_answer(body, built, surface)
            self.arrived, self.edits = [body], tuple(restored.edits)
            return restored

        def stream_restorer(built: Any, surface: str) -> Any:
            return _Tap(real.stream_restorer(built, surface), self)

        return replace(
            real, index=index, restore_answer=restore_answer, stream_restorer=stream_restorer
        )


class _Tap:
    """A stream restorer that shows the witness what it is fed."""

    def __init__(self, restorer: Any, witness: Witness) -> None:
        self._restorer, self._witness = restorer, witness

    def feed(self, piece: bytes) -> bytes:
        self._witness.arrived.append(piece)
        return bytes(self._restorer.feed(piece))

    def flush(self) -> bytes:
        out = bytes(self._restorer.flush())
        self._witness.edits = tuple(self._restorer.edits)
        return out

    def __getattr__(self, name: str) -> Any:
        """Whatever else it is asked for, the restorer says."""
        return getattr(self._restorer, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One exchange, as it is shown."""

    compressed: Compressed | None
    came: str
    restored: str
    edits: tuple[Edit, ...]
    receipt: Receipt
    seconds: float
    """From the request to the end of the answer."""


def run(
    console: Console | None = None,
    *,
    picture: Path | None = None,
    stay: Callable[[], None] | None = None,
) -> None:
    """Start a store, a model and the proxy, ask, and show what happened to each request.

    `picture` is where the last exchange is saved as an SVG. `stay` returns when nobody wants to
    look at the page any more; None: at once. Raises DemoFailed.
    """
    console = console or Console(record=picture is not None, width=100 if picture else None)
    model, witness = pull(Source.parse(MODEL), default_home()), Witness()
    with (
        tempfile.TemporaryDirectory(prefix="unabridged-demo-") as state,
        console.status("starting a store, a model and the proxy"),
        serve_model() as upstream,
        serve_proxy(upstream, model, Path(state), witness.steps()) as (url, app),
    ):
        console.print(_welcome(url, upstream))
        for scene in scenes():
            if picture is not None:
                console.export_text()  # forgets what went before: a picture holds one exchange
            _act(console, scene, url, app, witness)
        if stay is not None:
            console.print(_invitation(url))
            stay()
    if picture is not None:
        console.save_svg(str(picture), title="unabridged demo")


def scenes() -> list[Scene]:
    """The prompts of the demo: a question over a dozen documents, a few-shot prompt, and a text
    whose names are cut inside and copied by the model."""
    data = json.loads(resources.files(__package__).joinpath("demo.json").read_text("utf-8"))
    shots, names = data["demonstrations"], data["names"]
    examples = "\n\n".join(f"Input: {said}\nOutput: {label}" for said, label in shots["examples"])
    named = [each for each in data["documents"] if each["title"] in names["documents"]]
    return [
        _scene(
            "A question over a dozen documents",
            "auto",
            0.15,
            f"{data['instruction']}\n\n{_numbered(data['documents'])}\n\n"
            f"Question: {data['question']}\nAnswer:",
        ),
        _scene(
            "A few-shot prompt",
            "extractive",
            0.6,
            f"{shots['instruction']}\n\n{examples}\n\nInput: {shots['question']}\nOutput:",
        ),
        _scene(
            "Names that were cut inside",
            "llmlingua",
            0.8,
            f"{names['question']}\n\n{_numbered(named)}",
        ),
    ]


def _scene(title: str, policy: str, rate: float, content: str) -> Scene:
    messages = [{"role": "user", "content": content}]
    return Scene(title=title, policy=policy, asked={"rate": rate}, messages=messages)


def _numbered(documents: list[dict[str, str]]) -> str:
    return "\n\n".join(
        f"Document [{number}](Title: {each['title']}) {each['text']}"
        for number, each in enumerate(documents, 1)
    )


def _act(console: Console, scene: Scene, url: str, app: Any, witness: Witness) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="not-needed", max_retries=0)
    plain = _ask(client, scene, app, witness, stream=False)
    streamed = _ask(client, scene, app, witness, stream=True)
    console.print(Rule(f"[bold]{scene.title}[/bold], policy {scene.policy}"))
    if plain.compressed is None:
        raise DemoFailed(f"nothing was cut: {plain.receipt.reason}")
    console.print(Panel(show.diff(plain.compressed), title="what was sent", title_align="left"))
    console.print(show.parts_table(plain.compressed))
    for seen, how in ((plain, "plain"), (streamed, "streamed")):
        console.print(_answers(seen, how))
        console.print(show.receipt_table(_told(seen)))
    console.print(
        Text.assemble(
            "the same context again: ",
            (f"cache {streamed.receipt.cache}", "bold green"),
            f", {plain.receipt.added_ms:.1f} ms added the first time,"
            f" {streamed.receipt.added_ms:.1f} ms the second\n",
        )
    )


def _ask(client: OpenAI, scene: Scene, app: Any, witness: Witness, *, stream: bool) -> Seen:
    witness.forget()
    before = len(app.recent())
    started = time.perf_counter()
    asked: dict[str, Any] = {
        "model": MODEL_NAME,
        "messages": scene.messages,
        "max_tokens": ANSWER_TOKENS,
        "temperature": 0,
        "extra_body": {"unabridged": {"policy": scene.policy, **scene.asked}},
    }
    if stream:
        chunks = client.chat.completions.create(stream=True, **asked)
        restored = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    else:
        restored = client.chat.completions.create(**asked).choices[0].message.content or ""
    seconds = time.perf_counter() - started
    while len(app.recent()) == before:
        time.sleep(0.005)
    return Seen(
        compressed=witness.compressed,
        came=_text(b"".join(witness.arrived)),
        restored=restored,
        edits=witness.edits,
        receipt=app.recent(1)[0],
        seconds=seconds,
    )


def _text(answer: bytes) -> str:
    """What an answer says, plain or as a stream of events."""
    if answer.lstrip().startswith(b"{"):
        return str(json.loads(answer)["choices"][0]["message"]["content"])
    events = (line[5:].strip() for line in answer.splitlines() if line.startswith(b"data:"))
    chunks = (json.loads(event) for event in events if event.startswith(b"{"))
    return "".join(
        chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]
    )


def _answers(seen: Seen, how: str) -> Text:
    lines = Text.assemble((f"answer, {how}: ", "bold"), seen.came.strip(), "\n")
    lines.append("restored:      ", "bold")
    if not seen.edits:
        lines.append("the same; nothing that it names had been cut inside", "dim")
    else:
        lines.append_text(show.highlighted(seen.restored, _places(seen)))
    return lines


def _places(seen: Seen) -> list[Span]:
    """Where the restored wording stands in the answer; edits come in the answer's order."""
    places: list[Span] = []
    at = 0
    for edit in seen.edits:
        now = edit.piece.now
        start = seen.restored.find(now, at)
        if start >= 0:
            at = start + len(now)
            places.append((start, at))
    return places


def _told(seen: Seen) -> dict[str, object]:
    """The receipt, in the order in which a person reads it."""
    receipt = seen.receipt
    return {
        "policy": receipt.policy,
        "tokens": f"{receipt.before} before, {receipt.got} after",
        "asked for": receipt.asked,
        "cache": receipt.cache,
        "added": f"{receipt.added_ms:.1f} ms of {seen.seconds * 1000:.0f} ms",
        "by step": ", ".join(f"{step} {ms:.1f} ms" for step, ms in receipt.milliseconds.items()),
        "recovered spans": receipt.recovered,
        "reason": receipt.reason,
    }


def _welcome(url: str, upstream: str) -> Text:
    return Text.assemble(
        ("unabridged", "bold"),
        f" listens on {url}; behind it a model of 135 million parameters on {upstream}.\n",
        "Cut words are ",
        ("struck through", show.CUT),
        "; what an answer got back is ",
        ("green", show.RESTORED),
        ".\n",
    )


def _invitation(url: str) -> Text:
    return Text.assemble(
        "What was cut and what came back, request by request: ",
        (page_of(url), "bold underline"),
        "\nSend it something of yours, too: ",
        (f"export OPENAI_BASE_URL={url}", "bold"),
        f"\nMoney is counted there at ${PRICE.input} and ${PRICE.output} for a million tokens, as"
        " small hosted models cost; this one costs nothing."
        "\nCtrl-C ends the demo, and nothing of it is left.\n",
    )


def page_of(url: str) -> str:
    """Address of the page, from the base URL for clients."""
    return url.removesuffix("/v1") + "/ui"
