"""Shortens a request body in a worker thread; whatever goes wrong, the original is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from unabridged.compression import body as bodies
from unabridged.compression.body import Body, Text
from unabridged.compression.job import Count, untouched
from unabridged.compression.once import Unreadable, once
from unabridged.compression.plan import Plan
from unabridged.compression.prompt import Compressed, Prompt
from unabridged.policies.choose import Choice
from unabridged.policies.policy import Policy
from unabridged.proxy import plans, prefixes
from unabridged.proxy.cache import StoreDown
from unabridged.proxy.contexts import (
    Looking,
    Lookups,
    Run,
    Scope,
    Values,
    policy_version,
    remembering,
)
from unabridged.proxy.detail import Seen
from unabridged.proxy.gate import Gate, discounts, reckoning
from unabridged.proxy.plans import Whole
from unabridged.proxy.policy_models import Models, bare
from unabridged.proxy.prefixes import Known, Mark
from unabridged.proxy.price import Price
from unabridged.proxy.receipt import CacheDepth
from unabridged.proxy.sent import Sent, by_kind, provider_cache, why_untouched
from unabridged.proxy.steps import Progress, StepFailed, Steps
from unabridged.proxy.workers import DeadlineMissed, QueueFull, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One body to be shortened."""

    text: str
    choice: Choice
    model: str
    values: Values
    surface: str = "chat"
    progress: Progress = field(default_factory=Progress)
    lookups: Lookups = field(default_factory=Lookups)
    checkpoint: Callable[[], None] = lambda: None

    def looking(self, depth: CacheDepth) -> Looking:
        return Looking(values=self.values, lookups=self.lookups, depth=depth)


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
    shelf: Callable[[str], Values]
    """What an owner has in the store."""
    counter: Callable[[str, str | None], Count]
    """(model, the upstream's tokenizer) -> counts tokens."""
    models: Models
    revision: Callable[[str, Policy], str]
    """(compressor, policy) -> the weights the outcome depends on; empty: on none."""
    run: Run
    """Computes a job with the compressor of a name."""
    price: Callable[[str, str], Price | None] = lambda model, url: None
    """(model, the upstream's URL) -> what its tokens cost."""

    async def __call__(
        self, text: str, choice: Choice, *, model: str, owner: str, surface: str = "chat"
    ) -> Sent:
        """What to send for a body. `owner` names the shelf. Raises nothing of its own."""
        values = self.shelf(owner)
        task = Task(text=text, choice=choice, model=model, surface=surface, values=values)
        came = time.perf_counter()
        original = text.encode("utf-8", "surrogatepass")

        def work(checkpoint: Callable[[], None]) -> Sent:
            task.progress.milliseconds["queue"] = (time.perf_counter() - came) * 1000
            return self._line(replace(task, checkpoint=checkpoint))

        deadline = choice.policy.deadline_ms
        failed, reason = "", ""
        try:
            sent = await self.workers.run(work, seconds=deadline / 1000)
        except StepFailed as error:
            failed, reason = error.step, str(error)
        except QueueFull:
            failed, reason = "queue", "all workers are busy and the queue is full"
        except DeadlineMissed:
            failed = task.progress.step
            reason = f"{failed} missed the deadline of {deadline} ms"
        if failed:
            sent = Sent(body=original, reason=reason, failed_step=failed)
            sent = replace(sent, note=lambda: self._note_as_it_came(task))
        lookups = task.lookups
        task.values.count(choice.route, lookups.use)
        spent = {**task.progress.milliseconds, "store": lookups.seconds * 1000}
        return replace(
            sent,
            body=sent.body or original,
            cache=lookups.use,
            depth=lookups.depth,
            milliseconds=spent,
        )

    def _line(self, task: Task) -> Sent:
        """split -> allot -> compress -> render, or what became of the same prompt before.
        Raises StepFailed and Cancelled."""
        scope = self._scope(task)
        with task.progress.during("read"):
            body = self._read(task)
        whole, known = self._remembered(task, body, scope)
        compressed = whole.compressed
        counted = Sent(
            body=b"",
            tokens_before=by_kind(compressed, compressed.tokens_before),
            tokens_after=by_kind(compressed, compressed.tokens_after),
            asked=whole.plan.asked,
            gate=whole.gate,
            cached=provider_cache(whole.marks, known, self._price(task)),
            note=self._noting(task, whole, scope),
            seen=Seen(compressed=compressed, plan=whole.plan),
        )
        if whole.why:
            return replace(counted, reason=whole.why, tokens_after=counted.tokens_before)
        with task.progress.during("render"):
            rendered = self.steps.render(compressed)
            _check(rendered, task.text, task.surface)
        return replace(
            counted, body=rendered.encode("utf-8", "surrogatepass"), compressed=compressed
        )

    def _read(self, task: Task) -> Body:
        if task.surface != "text":
            return self.steps.read(task.text, task.surface)
        text = Text(path=(), value=task.text, start=0, end=len(task.text))
        return Body(raw=task.text, texts=(text,), tree={}, members=(), surface="text")

    def _remembered(self, task: Task, body: Body, scope: Scope) -> tuple[Whole, list[Known | None]]:
        """The outcome for a prompt, and how its beginnings went out the last time."""
        policy, asked = task.choice.policy, task.choice.question
        known: list[list[Known | None]] = []

        def compute(_: object = None) -> Whole:
            whole, found = self._work(task, body, scope)
            known.append(found)
            return whole

        if scope.seconds == 0:
            return compute(), known[-1]
        key = plans.plan_key(body, scope, policy.compressor, asked, strict=task.choice.strict)

        def read(_: int, value: bytes) -> Whole | None:
            whole = plans.decode(value, body, asked)
            if whole is None or known:
                return whole
            found = self._known(task, whole.marks)
            # The provider has got the uncut text since: whether to cut it is to be asked anew.
            if any(k and not k.cut and m.cut for m, k in zip(whole.marks, found, strict=True)):
                return None
            known.append(found)
            return whole

        try:
            [whole] = once(
                task.looking("plan"),
                [key],
                lambda _: [plans.encode(compute())],
                read,
                seconds=scope.seconds,
                checkpoint=task.checkpoint,
            )
        except Unreadable as error:
            raise StepFailed("cache", error) from error
        return whole, known[-1]

    def _work(self, task: Task, body: Body, scope: Scope) -> tuple[Whole, list[Known | None]]:
        steps, policy, during = self.steps, task.choice.policy, task.progress.during
        with during("split"):
            prompt = steps.split(task.text, policy, task.choice.question, task.surface)
        task.checkpoint()
        with during("plan"):
            count = self.counter(task.model, task.choice.upstream.tokenizer)
            plan = steps.allot(prompt, policy, count)
        task.checkpoint()
        with during("gate"):
            gate, found, known = self._gate(task, body, prompt, plan, scope)
            left = plan.without(len(gate.held)) if gate.held else plan
        models = self.models.remembering(task.looking("scores"), scope.seconds)
        with during("compress"):
            compressed = gate.onto(
                steps.compress(
                    prompt,
                    left,
                    policy,
                    count,
                    scorer=models.scorer(policy),
                    encoder=models.encoder(policy),
                    classifier=models.classifier(policy, bare),
                    reranker=models.reranker(policy),
                    run=remembering(self.run, scope, task.looking("segment")),
                    checkpoint=task.checkpoint,
                )
            )
        task.checkpoint()
        gate = replace(gate, held=(), order=(), after=())
        measured = prefixes.measured(found, compressed)
        return Whole(
            compressed=compressed,
            plan=plan,
            why=why_untouched(compressed, plan),
            gate=gate,
            marks=measured,
        ), known

    def _gate(
        self, task: Task, body: Body, prompt: Prompt, plan: Plan, scope: Scope
    ) -> tuple[Gate, tuple[Mark, ...], list[Known | None]]:
        price = self._price(task)
        if price is None:
            return Gate(), (), []
        found = prefixes.marks(prompt, body, f"{task.choice.upstream.url} {task.model}")
        known = self._known(task, found)
        if task.choice.strict:
            return Gate(), found, known
        reckoned = reckoning(price, prompt, plan, task.choice.policy.expected_turns)
        return reckoned.decide(found, known, version=_version(scope, task)), found, known

    def _known(self, task: Task, found: tuple[Mark, ...]) -> list[Known | None]:
        try:
            with task.lookups.timed():
                return prefixes.look(task.values, found)
        except StoreDown:
            task.lookups.store_down = True
            return [None] * len(found)

    def _price(self, task: Task) -> Price | None:
        """Where the provider gives a discount for what it has cached; else None."""
        upstream = task.choice.upstream
        price = self.price(task.model, upstream.url) if upstream.cache_seconds else None
        return price if discounts(price) else None

    def _noting(self, task: Task, whole: Whole, scope: Scope) -> Callable[[], None] | None:
        if not whole.marks:
            return None
        return lambda: prefixes.note(
            task.values,
            whole.marks,
            whole.compressed,
            version=_version(scope, task),
            seconds=int(task.choice.upstream.cache_seconds),
        )

    def _note_as_it_came(self, task: Task) -> None:
        """Something failed, so the upstream has got the text as it came."""
        if self._price(task) is None:
            return
        policy, upstream = task.choice.policy, task.choice.upstream
        body = self._read(task)
        prompt = self.steps.split(task.text, policy, task.choice.question, task.surface)
        entire = untouched(prompt.segments, "as it came")
        count = self.counter(task.model, upstream.tokenizer)
        counts = tuple(count(segment.text) for segment in prompt.segments)
        compressed = Compressed(
            prompt=prompt,
            kept=entire.kept,
            why=entire.why,
            tokens_before=counts,
            tokens_after=counts,
        )
        found = prefixes.marks(prompt, body, f"{upstream.url} {task.model}")
        prefixes.note(
            task.values,
            prefixes.measured(found, compressed),
            compressed,
            version="as it came",
            seconds=int(upstream.cache_seconds),
        )

    def warm(self, choice: Choice) -> None:
        """Runs once over a prompt of no interest, so that what is loaded lazily (tokenizers,
        compressors) is there when the first request comes. Slow; raises StepFailed."""
        unremembered = choice.policy.model_copy(update={"cache_seconds": 0, "min_tokens": 0})
        warming = replace(choice, policy=unremembered)
        self._line(Task(text=_WARM, choice=warming, model="", values=self.shelf("")))

    def _scope(self, task: Task) -> Scope:
        policy = task.choice.policy
        return Scope(
            policy_version=policy_version(policy),
            tokenizer=f"{task.choice.upstream.tokenizer} {task.model}",
            scorer=lambda compressor: self.revision(compressor, policy),
            seconds=policy.cache_seconds,
        )


def _version(scope: Scope, task: Task) -> str:
    """Of the rules by which a prompt is cut."""
    weights = scope.scorer(task.choice.policy.compressor)
    return f"{scope.policy_version} {weights} {scope.tokenizer}"


def _check(rendered: str, original: str, surface: str) -> None:
    if len(rendered) >= len(original):
        raise Unsendable("the shortened body is not shorter")
    if surface == "text":
        return
    keys = [[m.key for m in bodies.read(text).members] for text in (rendered, original)]
    if keys[0] != keys[1]:
        raise Unsendable("the shortened body has other keys")
