"""What may be spent: by whom, in which window, and what happens on the way to the limit."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

from unabridged.policies.policy import Frozen, Share

Scope = Literal["org", "team", "user", "key", "route", "model"]
SCOPES: tuple[Scope, ...] = ("org", "team", "user", "key", "route", "model")
WindowKind = Literal["minute", "hour", "day", "week", "month", "total"]
Unit = Literal["money", "tokens", "requests"]
NANO = 10**9
"""Nano-dollars in a dollar."""
MOST = 10**18
"""Largest limit, in nano-dollars, tokens or requests: what a store's counter holds with room."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"unknown time zone {name!r}; such as UTC or Europe/Berlin") from error
    return name


def _percent(share: str) -> str:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?%", share):
        raise ValueError(f"a share of the budget is written such as 80%, not {share!r}")
    return share


def _word(step: Any) -> Any:
    return {"do": step} if isinstance(step, str) else step


@dataclass(frozen=True, slots=True, kw_only=True)
class Scopes:
    """Who and what a request is charged to. None: the request has none."""

    org: str
    team: str | None = None
    user: str | None = None
    key: str | None = None
    """Name of the key, never the secret."""
    route: str | None = None
    model: str | None = None
    """The model that the caller asked for, whatever a step replaces it with."""

    def get(self, scope: Scope) -> str | None:
        """The value of one scope."""
        value: str | None = getattr(self, scope)
        return value


class Who(Frozen):
    """Whom and what a budget is for; what is left out fits everything. Globs as in a shell."""

    org: str | None = None
    """Organisation. A budget that fits several has a counter for each."""
    team: str | None = None
    """Team of the key."""
    user: str | None = None
    """User of the key."""
    key: str | None = None
    """Name (never the secret) of the key."""
    route: str | None = None
    """Name of the route."""
    model: str | None = None
    """The request's `model`."""


class Step(Frozen):
    """What changes when a share of the budget is used: `warn`, `refuse`, or a tighter policy."""

    do: Literal["tighten", "warn", "refuse"] = "tighten"
    """warn: only the receipt says so; refuse: nothing more is sent."""
    policy: str | None = None
    """Name of the policy to use instead."""
    compressor: str | None = None
    """Compressor to use instead of the policy's."""
    rate: Share | None = None
    """Most of the prompt's tokens to keep: a policy that keeps less goes on keeping less."""
    model: str | None = None
    """A cheaper model to ask instead."""

    @model_validator(mode="after")
    def _says_something(self) -> Step:
        changes = (self.policy, self.compressor, self.rate, self.model)
        if (self.do == "tighten") == all(value is None for value in changes):
            raise ValueError("a step is warn, refuse, or names policy, compressor, rate or model")
        return self

    @property
    def said(self) -> str:
        """As a person reads it: `refuse`, or `rate 0.4 model gpt-4o-mini`."""
        if self.do != "tighten":
            return self.do
        changes = self.model_dump(exclude_none=True, exclude={"do"})
        return " ".join(f"{name} {value}" for name, value in changes.items())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        rules = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [rules, {"type": "string", "enum": ["warn", "refuse"]}]}


Percent = Annotated[str, AfterValidator(_percent)]


class Budget(Frozen):
    """A limit on what may be spent in a window of time."""

    name: str = Field(min_length=1)
    """Shown in refusals and receipts."""
    match: Who = Who()
    """What a request must be for this budget to count it."""
    each: Scope | None = None
    """One counter for each value of this, such as each user; null: one for all together."""
    window: WindowKind = "month"
    """Minutes and hours are those of UTC; weeks begin on Monday; total never ends."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Where days, weeks and months begin."""
    unit: Unit = "money"
    """money (dollars), tokens (prompt and answer, as sent) or requests."""
    limit: Annotated[Decimal, Field(ge=0)]
    """Dollars (nine decimals at most), tokens or requests."""
    at: dict[Percent, Annotated[Step, BeforeValidator(_word)]] = Field(
        default_factory=lambda: {"100%": Step(do="refuse")}
    )
    """What happens when a share of the limit is used. Without a `refuse` nothing is refused."""
    store_down: Literal["closed", "open", "lease"] = "closed"
    """While the store cannot be asked: refuse, let through, or spend only the slice that each
    instance has set aside."""
    slice_share: Annotated[float, Field(gt=0, le=0.25)] = 0.01
    """Share of the limit that each instance sets aside for `lease`."""
    unknown_price: Literal["refuse", "allow", "worst"] = "refuse"
    """For a model without a price: refuse, let through unpriced, or take the dearest price of
    the map."""

    @model_validator(mode="after")
    def _whole(self) -> Budget:
        amount = self.limit * (NANO if self.unit == "money" else 1)
        if amount != int(amount):
            least = "nine decimals" if self.unit == "money" else "a whole number"
            raise ValueError(f"limit {self.limit} of {self.unit}: {least} at most")
        if amount > MOST:
            raise ValueError(f"limit {self.limit} of {self.unit} is above {MOST} counted units")
        return self

    @property
    def amount(self) -> int:
        """The limit in nano-dollars, tokens or requests."""
        return int(self.limit * (NANO if self.unit == "money" else 1))

    @property
    def refuses_above(self) -> int | None:
        """Most that may be used and reserved together; None: this budget refuses nothing."""
        marks = [used for used, _, step in self.steps if step.do == "refuse"]
        return marks[0] if marks else None

    @property
    def steps(self) -> tuple[tuple[int, str, Step], ...]:
        """What must be used, the share as it is written, and the step; in rising order."""
        found = [(self._used(share), share, step) for share, step in self.at.items()]
        return tuple(sorted(found, key=lambda item: item[0]))

    @property
    def identity(self) -> str:
        """Same for budgets that count the same things, whatever their limits and steps."""
        parts = (self.name, self.match.model_dump(), self.each, self.window, self.time_zone)
        text = json.dumps((*parts, self.unit), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def applies(self, scopes: Scopes) -> bool:
        """True if this budget counts such a request. Globs know upper from lower case."""
        for scope in SCOPES:
            glob, value = getattr(self.match, scope), scopes.get(scope)
            if glob is not None and (value is None or not fnmatch.fnmatchcase(value, glob)):
                return False
        return True

    def subject(self, scopes: Scopes) -> str:
        """Whose counter the request is on; those without the scope share the empty one, so
        that nobody escapes a budget by having no name."""
        return (scopes.get(self.each) or "") if self.each else ""

    def step(self, used: int) -> tuple[str, Step] | None:
        """The last step reached by what is used, and its share as it is written."""
        reached = [(share, step) for mark, share, step in self.steps if used >= mark]
        return reached[-1] if reached else None

    def _used(self, share: str) -> int:
        return int(self.amount * Fraction(share.removesuffix("%")) / 100)


class Price(Frozen):
    """What a model costs, in dollars for a million tokens; goes before the packaged map."""

    input: Annotated[Decimal, Field(ge=0)]
    """The prompt."""
    output: Annotated[Decimal, Field(ge=0)]
    """The answer."""
    cached: Annotated[Decimal, Field(ge=0)] | None = None
    """What the provider had cached of the prompt; null: as `input`."""
    cache_write: Annotated[Decimal, Field(ge=0)] | None = None
    """What the provider caches anew of the prompt; null: as `input`."""
    reasoning: Annotated[Decimal, Field(ge=0)] | None = None
    """Reasoning, where it is billed apart; null: as `output`."""
    max_input: int | None = Field(default=None, ge=1)
    """Longest prompt in tokens; null: as in the map."""
    max_output: int | None = Field(default=None, ge=1)
    """Longest answer in tokens; null: as in the map."""
