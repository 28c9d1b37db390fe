"""Shortens a request body in a worker thread; whatever goes wrong, the original is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from unabridged.compression import body as bodies
from unabridged.compression.classifier import Classifier
from unabridged.compression.encoder import Encoder
from unabridged.compression.job import Count
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed
from unabridged.compression.scorer import Scorer
from unabridged.policies.choose import Choice
from unabridged.policies.policy import Policy
from unabridged.proxy.contexts import Contexts, Lookups, Run, Scope, policy_version
from unabridged.proxy.detail import Seen
from unabridged.proxy.receipt import CacheUse
from unabridged.proxy.steps import Progress, StepFailed, Steps
from unabridged.proxy.workers import DeadlineMissed, QueueFull, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The body that goes to the upstream, and how it came about."""

    body: bytes
    compressed: Compressed | None = None
    """What recovery needs; None: the body is the caller's own, and so is the answer."""
    tokens_before: Mapping[str, int] = field(default_factory=dict)
    """By kind of segment; empty if nothing was counted."""
    tokens_after: Mapping[str, int] = field(default_factory=dict)
    asked: int | None = None
    cache: CacheUse = "off"
    reason: str = ""
    """Why the body is the caller's own; empty if it was shortened."""
    failed_step: str = ""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    seen: Seen | None = None
    """The prompt as it was found, shortened or not; None: our work did not get so far."""


_WARM = json.dumps(
    {"messages": [{"role": "user", "content": "Document [1] One. Two.\n\n" * 9 + "Question: One?"}]}
)


class Unsendable(Exception):
    """What was rendered must not be sent: it is not shorter, or not the JSON it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abridger:
    """The means of shortening, put together at start-up."""

    steps: Steps
    workers: Workers
    contexts: Contexts
    counter: Callable[[str, str | None], Count]
    """(model, the upstream's tokenizer) -> counts tokens."""
    scorer: Callable[[Policy], Callable[[], Scorer] | None]
    """Gives what loads the policy's causal model; None: there is none."""
    encoder: Callable[[Policy], Callable[[], Encoder | None]]
    """Gives the policy's sentence encoder, or None while there is none."""
    classifier: Callable[[Policy], Callable[[], Classifier | None]]
    """Gives what judges the policy's words, or None while nothing does."""
    scorer_name: Callable[[str, Policy], str]
    """(compressor, policy) -> the weights the outcome depends on; empty: on none."""
    run: Run
    """Computes a job with the compressor of a name."""

    async def __call__(
        self, text: str, choice: Choice, *, model: str, tenant: str, surface: str = "chat"
    ) -> Sent:
        """What to send for a body. Raises nothing of its own."""
        progress, lookups = Progress(), Lookups()
        came = time.perf_counter()
        original = text.encode("utf-8", "surrogatepass")

        def work(checkpoint: Callable[[], None]) -> Sent:
            progress.milliseconds["queue"] = (time.perf_counter() - came) * 1000
            run = self._run(choice, model, tenant, lookups)
            return self._line(text, choice, model, surface, run, progress, checkpoint)

        deadline = choice.policy.deadline_ms
        failed, reason = "", ""
        try:
            sent = await self.workers.run(work, seconds=deadline / 1000)
        except StepFailed as error:
            failed, reason = error.step, str(error)
        except QueueFull:
            failed, reason = "queue", "all workers are busy and the queue is full"
        except DeadlineMissed:
            failed = progress.step
            reason = f"{failed} missed the deadline of {deadline} ms"
        if failed:
            sent = Sent(body=original, reason=reason, failed_step=failed)
        spent = {**progress.milliseconds, "store": lookups.seconds * 1000}
        return replace(sent, body=sent.body or original, cache=lookups.use, milliseconds=spent)

    def _line(
        self,
        text: str,
        choice: Choice,
        model: str,
        surface: str,
        run: Run,
        progress: Progress,
        checkpoint: Callable[[], None],
    ) -> Sent:
        """split -> allot -> compress -> render. Raises StepFailed and Cancelled."""
        steps, policy, during = self.steps, choice.policy, progress.during
        with during("split"):
            prompt = steps.split(text, policy, choice.question, surface)
        checkpoint()
        with during("plan"):
            count = self.counter(model, choice.upstream.tokenizer)
            plan = steps.allot(prompt, policy, count)
        checkpoint()
        with during("compress"):
            compressed = steps.compress(
                prompt,
                plan,
                policy,
                count,
                scorer=self.scorer(policy),
                encoder=self.encoder(policy),
                classifier=self.classifier(policy),
                run=run,
                checkpoint=checkpoint,
            )
        checkpoint()
        counted = Sent(
            body=b"",
            tokens_before=_by_kind(compressed, compressed.tokens_before),
            tokens_after=_by_kind(compressed, compressed.tokens_after),
            asked=plan.asked,
            seen=Seen(compressed=compressed, plan=plan),
        )
        reason = _why_untouched(compressed, plan)
        if reason:
            return replace(counted, reason=reason, tokens_after=counted.tokens_before)
        with during("render"):
            rendered = steps.render(compressed)
            _check(rendered, text, surface)
        return replace(
            counted, body=rendered.encode("utf-8", "surrogatepass"), compressed=compressed
        )

    def warm(self, choice: Choice) -> None:
        """Runs once over a prompt of no interest, so that what is loaded lazily (tokenizers,
        compressors) is there when the first request comes. Slow; raises StepFailed."""
        unremembered = choice.policy.model_copy(update={"cache_seconds": 0, "min_tokens": 0})
        warming = replace(choice, policy=unremembered)
        run = self._run(warming, "", "", Lookups())
        self._line(_WARM, warming, "", "chat", run, Progress(), lambda: None)

    def _run(self, choice: Choice, model: str, tenant: str, lookups: Lookups) -> Run:
        policy = choice.policy
        scope = Scope(
            tenant=tenant,
            policy_version=policy_version(policy),
            tokenizer=f"{choice.upstream.tokenizer} {model}",
            scorer=lambda compressor: self.scorer_name(compressor, policy),
            seconds=policy.cache_seconds,
        )
        return self.contexts.remembering(self.run, scope, lookups)


def _by_kind(compressed: Compressed, counts: tuple[int, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for segment, count in zip(compressed.prompt.segments, counts, strict=True):
        found[segment.kind] = found.get(segment.kind, 0) + count
    return found


def _why_untouched(compressed: Compressed, plan: Plan) -> str:
    """Why the original is sent although nothing failed; empty if something was cut."""
    if sum(compressed.tokens_after) < sum(compressed.tokens_before):
        return ""
    longest = max(
        range(len(compressed.why)), key=lambda i: compressed.tokens_before[i], default=None
    )
    if compressed.prompt.note or plan.why:
        segments = compressed.prompt.segments
        kept = segments[longest].why if longest is not None and segments[longest].protected else ""
        return "; ".join(filter(None, (compressed.prompt.note or plan.why, kept)))
    return "nothing was found to cut" if longest is None else compressed.why[longest]


def _check(rendered: str, original: str, surface: str) -> None:
    if len(rendered) >= len(original):
        raise Unsendable("the shortened body is not shorter")
    if surface == "text":
        return
    keys = [[m.key for m in bodies.read(text).members] for text in (rendered, original)]
    if keys[0] != keys[1]:
        raise Unsendable("the shortened body has other keys")
