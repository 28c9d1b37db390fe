"""The whole configuration file: upstreams, routes, policies, server and store."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unabridged.policies.budget import Budget, Price
from unabridged.policies.policy import Frozen, Policy, Reachable


class Upstream(Frozen):
    """A server that requests are sent to: one compatible with OpenAI's, or any provider's by way
    of litellm."""

    kind: Literal["openai", "litellm"] = "openai"
    """openai: the caller's bytes go to `url`; litellm: the request is translated for `provider`."""
    url: Annotated[str, Reachable] = Field(
        default="",
        pattern=r"^(https?://[^/?#]+(/[^?#]*)?)?$",
        examples=["https://api.openai.com/v1"],
    )
    """Base URL, such as https://api.openai.com/v1; what a client puts behind /v1 is put here. For
    kind litellm: the provider's own, if it is left out."""
    provider: str | None = Field(default=None, pattern=r"^[a-z0-9_]+$", examples=["anthropic"])
    """For kind litellm: its name for the provider, put before the names of models: anthropic,
    bedrock, gemini, vertex_ai, cohere, mistral, ..."""
    retries: int = Field(default=2, ge=0, le=10)
    """For kind litellm: how often its router tries again."""
    model_fallbacks: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For kind litellm: models that its router asks when one fails, by that one's name."""
    params: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """For kind litellm: more of its parameters, such as aws_region_name. Secrets belong in the
    environment, where litellm looks for each provider's own."""
    api_key_env: str | None = None
    """Environment variable with the operator's credential; null: the caller's own
    Authorization is forwarded."""
    api_key_header: str = Field(default="authorization", pattern=r"^[a-z0-9-]+$")
    """Header that carries the operator's credential, in small letters: authorization (as
    `Bearer KEY`), x-api-key (Anthropic), api-key (Azure) and the like (as it is)."""
    connect_seconds: float = Field(default=5.0, gt=0)
    """Longest wait for a connection."""
    first_byte_seconds: float = Field(default=600.0, gt=0)
    """Longest wait for the first byte of an answer."""
    idle_seconds: float = Field(default=600.0, gt=0)
    """Longest silence between two pieces of an answer."""
    failures: int = Field(default=3, ge=1)
    """Failures in a row after which it is passed over, where its route has others."""
    cooldown_seconds: float = Field(default=30.0, ge=0)
    """How long it is passed over then."""
    tokenizer: str | None = Field(
        default=None, pattern=r"^([a-z0-9]+k_base|path:.+)$", examples=["o200k_base"]
    )
    """Tokenizer to count with where the model's name does not tell it: o200k_base,
    cl100k_base or path:FILE of a tokenizer.json."""
    cache_seconds: float = Field(default=300.0, ge=0)
    """How long the provider keeps the beginning of a prompt in its own cache after its last use;
    0: it has none, and nothing is left uncut for its sake."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> Upstream:
        if self.kind == "openai" and not self.url:
            raise ValueError("url is required, such as https://api.openai.com/v1")
        if self.kind == "litellm" and self.provider is None:
            raise ValueError("provider is required for kind litellm, such as anthropic")
        return self


class Match(Frozen):
    """What a request must look like; what is left out fits everything. Globs as in a shell."""

    path: str | None = None
    """As the client writes it, such as /v1/chat/completions."""
    model: str | None = None
    """The request's `model`, such as gpt-4o*. What is only relayed has none, as nobody reads it:
    give its `path`; the address of a WebSocket names one."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers that must be there, each with a glob for its value."""
    team: str | None = None
    """Team of the key that the caller presented."""
    key: str | None = None
    """Name (never the secret) of the key that the caller presented."""


class Route(Frozen):
    """The first route that fits a request decides its policy and upstream."""

    name: str = ""
    """Shown in receipts and explanations."""
    match: Match = Match()
    """What a request must look like."""
    policy: str = "auto"
    """Name of the policy."""
    upstream: str = "default"
    """Name of the upstream."""
    fallbacks: tuple[str, ...] = ()
    """Upstreams that are asked in this order while those before them fail: before the first byte
    of an answer, after a connection that fails, a timeout, or status 408, 429, 500, 502 to 504 or
    529."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Shares of the requests that go first to one or another of these upstreams; empty: all go
    first to `upstream`."""
    on_disconnect: Literal["abort", "drain"] = "abort"
    """When the client goes in mid-answer: close the upstream's answer and charge what was read,
    or read it to its end and charge what the upstream says."""
    drain_seconds: float = Field(default=60.0, gt=0)
    """Longest reading on for `drain`."""


class Server(Frozen):
    """The proxy itself."""

    host: str = "127.0.0.1"
    """Address to listen on; any but loopback needs `keys_file`."""
    port: int = Field(default=8790, ge=0, le=65535)
    """Port to listen on; 0: any that is free."""
    max_body_bytes: int = Field(default=32 * 2**20, ge=1024)
    """Larger requests are refused with status 413. What is only relayed may be of any size, unless
    a budget counts it."""
    workers: int = Field(default=2, ge=1)
    """Threads that compress."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """Where models on this machine compute; auto: cuda or mps if it is there, else the CPU."""
    queue: int = Field(default=64, ge=1)
    """Requests that may wait for a thread; past it the original is sent."""
    keys_file: str | None = None
    """File of the keys that callers must present; null: open, and on loopback only."""
    allow_origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s*]+)$")], ...] = Field(
        default=(), examples=[["https://app.example.com"]]
    )
    """Sites whose pages may call from a browser (CORS), by scheme and host; "*": all, once there
    are keys. Without keys pages of this machine may call, too, where the upstream allows it."""
    receipt_days: int = Field(default=35, ge=1)
    """How long receipts, which hold no text, are kept in the database for the page."""
    metrics_key_env: str = "UNABRIDGED_METRICS_KEY"
    """Environment variable with a key that may read /metrics and nothing else; the admin key may
    too. Without any keys /metrics is open, on loopback only."""
    unready_seconds: float = Field(default=1.0, ge=0)
    """How long /readyz says no before the proxy stops to listen, when it is told to end (SIGTERM);
    behind a load balancer: longer than the time between two of its probes."""
    grace_seconds: float = Field(default=30.0, ge=0)
    """How long running answers may take to finish at shutdown."""


class Store(Frozen):
    """Where compressed contexts are kept."""

    url: Annotated[str | None, Reachable] = Field(
        default=None,
        pattern=r"^(rediss?(\+cluster)?|unix)://.",
        examples=["redis://localhost:6379/0", "redis+cluster://localhost:6379"],
    )
    """redis://..., or redis+cluster://... of any node of a cluster; null: REDIS_URL, or else the
    embedded server."""
    timeout_ms: int = Field(default=75, ge=1)
    """Longest wait for one answer of the store; past it the request goes on without."""
    cache_mb: int = Field(default=64, ge=1)
    """Most that the compressed contexts of one team take, in megabytes; what was not used for
    longest goes first."""


class Money(Frozen):
    """How costs are known and kept. Budgets themselves stand under `budgets`."""

    database: str | None = Field(
        default=None,
        pattern=r"^(sqlite|postgres(ql)?)[+a-z0-9]*://.",
        examples=["postgresql://unabridged@localhost/unabridged"],
    )
    """SQLAlchemy URL of the ledger's database; null: UNABRIDGED_DATABASE, or else a SQLite file
    in the state directory."""
    refuse_status: Literal[402, 403, 422, 429] = 402
    """HTTP status when a budget is used up; clients try 429 again."""
    lease_seconds: int = Field(default=60, ge=5, le=3600)
    """How long a reservation outlives a proxy that died; the running ones are renewed."""
    assumed_output: int | None = Field(default=None, ge=1)
    """Tokens reserved for an answer where the request sets no limit; null: the model's maximum.
    A budget can be passed by what longer answers cost."""
    ask_usage: Literal["budgets", "always", "never"] = "budgets"
    """When to ask an upstream for the usage of a stream if the client did not: if a budget
    counts the request, always or never. The client sees nothing of it."""
    admin_key_env: str = "UNABRIDGED_ADMIN_KEY"
    """Environment variable with the key of the admin API; while it is unset there is none."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Prices by model, in dollars for a million tokens, before those of the packaged map."""


class Config(Frozen):
    """Everything that a configuration file says, checked."""

    upstreams: dict[str, Upstream] = Field(min_length=1)
    """OpenAI-compatible servers by name."""
    routes: tuple[Route, ...] = (Route(),)
    """Tried in order; what none fits passes through unchanged."""
    policies: dict[str, Policy] = Field(default_factory=dict)
    """The file's own; those of the shipped file are there too, unless one has the same name."""
    server: Server = Server()
    """Where the proxy listens, and its limits."""
    store: Store = Store()
    """Where compressed contexts are kept, as numbers under keyed hashes."""
    budgets: tuple[Budget, ...] = ()
    """What may be spent; the admin API can change it at run time."""
    money: Money = Money()
    """How costs are known and kept."""

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        names = [budget.name for budget in self.budgets]
        for budget in self.budgets:
            if names.count(budget.name) > 1:
                raise ValueError(f"two budgets are named {budget.name!r}")
            for _, share, step in budget.steps:
                if step.policy is not None and step.policy not in self.policies:
                    where = f"budget {budget.name!r} at {share}"
                    known = ", ".join(sorted(self.policies))
                    raise ValueError(f"unknown policy {step.policy!r} in {where}; known: {known}")
        for route in self.routes:
            if route.policy not in self.policies:
                known = ", ".join(sorted(self.policies))
                raise ValueError(f"unknown policy {route.policy!r} in routes; known: {known}")
            for name in (route.upstream, *route.fallbacks):
                if name not in self.upstreams:
                    known = ", ".join(sorted(self.upstreams))
                    raise ValueError(f"unknown upstream {name!r} in routes; known: {known}")
            for name in route.weights:
                if name not in (route.upstream, *route.fallbacks):
                    raise ValueError(
                        f"weights name {name!r}, which is neither the route's upstream nor one of"
                        " its fallbacks"
                    )
        return self
