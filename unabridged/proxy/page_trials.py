"""What can be tried on the page: the playground, explanations, and a changed policy."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from starlette.requests import Request

from unabridged.compression.compress import COMPRESSORS
from unabridged.explain import Explanation, NotARequest, explain
from unabridged.policies.asked import BadAsk, NotAllowed, UnknownPolicy
from unabridged.policies.config import Config, Match
from unabridged.policies.load import parse_policy
from unabridged.policies.policy import Policy
from unabridged.policies.problem import ConfigError, without_password
from unabridged.proxy.admin import BadCall, Work, body
from unabridged.proxy.comparison import Asker
from unabridged.proxy.dry_run import dry_run, target
from unabridged.proxy.page_answers import (
    ChangedPolicy,
    Comparison,
    DryRun,
    Explained,
    Pasted,
    Policies,
    PolicyRow,
    Question,
    RouteRow,
    RouteTry,
    Trial,
    TrialResult,
    UpstreamRow,
)
from unabridged.proxy.playground import Playground
from unabridged.proxy.policy_models import Models, bare
from unabridged.proxy.receipt_book import ReceiptBook

LARGEST = 8 * 2**20
"""Bytes of what is pasted or uploaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTrials:
    """Put together at start-up."""

    config: Config
    book: ReceiptBook
    playground: Playground
    asker: Asker

    def calls(self) -> dict[tuple[str, str], Work]:
        """By method and path."""
        return {
            ("POST", "/playground/compress"): self._compress,
            ("POST", "/playground/ask"): self._ask,
            ("GET", "/policies"): self._policies,
            ("POST", "/explain"): self._explain,
            ("POST", "/dryrun"): self._dry_run,
        }

    async def _compress(self, request: Request) -> TrialResult:
        trial = await body(request, Trial, most=LARGEST)
        return (await self.playground.test(trial)).result

    async def _ask(self, request: Request) -> Comparison:
        return await self.asker.compare(await body(request, Question, most=LARGEST))

    async def _policies(self, request: Request) -> Policies:
        routes = [
            RouteRow(
                name=route.name or str(number),
                matches=_matches(route.match),
                policy=route.policy,
                upstream=_named(route.upstream),
            )
            for number, route in enumerate(self.config.routes, 1)
        ]
        upstreams = [
            UpstreamRow(
                name=name,
                url=without_password(upstream.url),
                key="operator's" if upstream.api_key_env else "caller's",
                models=await asyncio.to_thread(self.book.models, name),
            )
            for name, upstream in self.config.upstreams.items()
        ]
        return Policies(
            policies=[_told(n, p, routes) for n, p in self.config.policies.items()],
            routes=routes,
            upstreams=upstreams,
            compressors=self.playground.compressors(),
        )

    async def _explain(self, request: Request) -> Explained:
        """As `unabridged explain`."""
        pasted = await body(request, Pasted, most=LARGEST)

        def work(models: Models) -> Explanation:
            try:
                return explain(
                    self.config,
                    pasted.body,
                    path=pasted.path,
                    headers=pasted.headers,
                    team=pasted.team,
                    key=pasted.key,
                    scorer=lambda source: models.scorer(Policy(scorer=source)),
                    encoder=lambda source: models.encoder(Policy(encoder=source)),
                    classifier=lambda source: models.classifier(Policy(classifier=source), bare),
                    reranker=lambda source: models.reranker(Policy(reranker=source)),
                )
            except (NotARequest, BadAsk, UnknownPolicy, NotAllowed) as error:
                raise BadCall(str(error)) from None

        found, said, spent = await self.playground.aside(work)
        choice, plan = found.choice, found.abridged.plan
        return Explained(
            tries=[
                RouteTry(route=t.route, fits=t.fits, chosen=t.route == choice.route, why=t.why)
                for t in found.tries
            ],
            route=choice.route,
            policy=choice.policy_name,
            upstream=choice.upstream_name,
            why=choice.why,
            note="; ".join(filter(None, (found.abridged.compressed.prompt.note, plan.why))),
            trial=self.playground.told(
                found.abridged,
                choice.policy.compressor,
                found.model,
                choice.upstream.url,
                spent,
                said,
            ),
        )

    async def _dry_run(self, request: Request) -> DryRun:
        changed = await body(request, ChangedPolicy)
        try:
            policy = parse_policy(changed.policy, "policy", compressors=COMPRESSORS)
        except ConfigError as error:
            raise BadCall(str(error)) from None
        if changed.instead_of is not None and changed.instead_of not in self.config.policies:
            raise BadCall(f"instead_of: unknown policy {changed.instead_of!r}")
        past = await asyncio.to_thread(
            lambda: self.book.last(changed.count, policy=changed.instead_of)
        )
        return await dry_run(past, policy, self.playground)


def _told(name: str, policy: Policy, routes: list[RouteRow]) -> PolicyRow:
    changes = policy.model_dump(mode="json", exclude_defaults=True)
    out = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    if changes:
        yaml.dump(changes, out)
    settings: dict[str, Any] = policy.model_dump(mode="json")
    return PolicyRow(
        name=name,
        compressor=policy.compressor,
        target=target(policy),
        yaml=out.getvalue(),
        settings=settings,
        routes=[route["name"] for route in routes if route["policy"] == name],
    )


def _matches(match: Match) -> list[str]:
    wanted = match.model_dump(exclude_none=True)
    headers = wanted.pop("headers", {})
    return [
        *(f"{name} {glob}" for name, glob in wanted.items()),
        *(f"header {name} {glob}" for name, glob in headers.items()),
    ]


def _named(upstream: Any) -> str:
    return upstream if isinstance(upstream, str) else ", ".join(map(str, upstream))
