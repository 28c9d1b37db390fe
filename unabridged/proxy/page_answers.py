"""What the page asks for and what it is answered: the contract of the JSON API under /ui/api.

Every answer is JSON in one of the shapes below; every error is `{"error": {"code", "message"}}`
with a status of 400 (a mistake, named), 401 (`sign_in`), 403 (`foreign_site`), 404 (`not_found`),
409 (`not_possible`), 429 (too many wrong keys; `retry-after`) or 503 (`store_down`). Every request
but a GET must carry the header `x-unabridged-page: 1`, and a JSON object or nothing for its body.

| call | asked with | answered with |
|---|---|---|
| GET session | | `Session` |
| POST login | `Login` | `Session`, and a cookie |
| POST logout | | `Session`, and the cookie gone |
| GET overview | query: `Overview`'s `window`, `span`, `by`, `time_zone` | `Overview` |
| GET requests | query: `RequestRow`'s names, `before`, `count` | `Requests` |
| GET requests/{id} | | `RequestDetail` |
| GET events | | server-sent events, see `Event` |
| POST playground/compress | `Trial` | `TrialResult` |
| POST playground/ask | `Question` | `Comparison` |
| GET policies | | `Policies` |
| POST explain | `Pasted` | `Explained` |
| POST dryrun | `ChangedPolicy` | `DryRun` |
| GET, POST keys; DELETE keys/{id}; POST keys/{id}/rotate | as in the admin API | as there |
| GET budgets; PUT, DELETE budgets/{name} | as in the admin API | as there |
| GET levels | | `Levels` |

Requests are filtered by `team`, `route`, `policy`, `model` and `outcome`. The page itself is served
at /ui from `page/index.html` beside this file (no-cache), and /ui/assets/NAME from
`page/assets/NAME` (kept for a year: names carry a hash of the content), under a content security
policy without inline scripts or styles and without any other origin.

Money is in whole nano-dollars (a billionth of a dollar), times are milliseconds since 1970, and
what is not known is null, never 0.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import TypedDict  # of typing: from Python 3.12 on pydantic takes it

from unabridged.policies.policy import Frozen, Kind, Share
from unabridged.proxy.outcome import Outcome

Span = Literal["last", "this"]
"""The hour (day, ...) up to now, or the one of the calendar, as `unabridged spend` has it."""
View = Literal["hour", "day", "week", "month"]
By = Literal["route", "team", "model", "policy"]


# --- who may look ---------------------------------------------------------------------------


class Login(Frozen):
    """Exchanged for a cookie that scripts cannot read (HttpOnly, SameSite=Strict)."""

    key: str = Field(max_length=1000)
    """The admin key: the value of the variable that money.admin_key_env names."""


class Session(TypedDict):
    """Whether this browser may use the page. Answered to everybody."""

    access: Literal["open", "signed_in", "sign_in", "closed"]
    """open: on loopback without keys, nothing to do; signed_in; sign_in: show the login;
    closed: there are keys but no admin key, `why` says what to do."""
    why: str
    may_make_keys: bool
    """False: POST keys would be refused with 409, and `why` says why."""
    version: str


# --- overview -------------------------------------------------------------------------------


class Spread(TypedDict):
    """One number over many requests."""

    total: int
    median: float | None
    """Of the requests where it is known; null: of none."""


class Figures(TypedDict):
    """What the ledger has of a group of requests. `unabridged spend` prints the same totals."""

    requests: int
    tokens_before: Spread
    tokens_after: Spread
    tokens_saved: Spread
    saved_share: float | None
    """The median request's share of prompt tokens that were not sent, 0 to 1."""
    nano_usd: Spread
    saved_nano_usd: Spread
    """Net: what the cut tokens would have cost, less the provider's discount that was lost on
    cached ones. May be negative."""
    estimated: int
    """Requests whose tokens we counted ourselves."""
    unpriced: int
    """Requests whose cost is not known; it is in no total."""
    lost: int
    """Requests whose proxy died before it could say."""


class Group(Figures):
    """The figures of one route, team, model or policy."""

    group: str
    """Empty: the requests that have none."""


class Series(TypedDict):
    """One line of a chart: a number for each bucket of `Overview.starts`."""

    group: str
    """`other`, with `rest` true, adds up the groups behind the largest eight."""
    rest: bool
    requests: list[int]
    tokens_before: list[int]
    tokens_after: list[int]
    nano_usd: list[int]
    saved_nano_usd: list[int]


class Quantiles(TypedDict):
    """Milliseconds that one step added."""

    step: str
    """`added` is our whole share of a request; then read, queue, split, plan, compress, store,
    render, restore, as far as they occurred."""
    requests: int
    p50: float
    p95: float
    p99: float


class Counted(TypedDict):
    """How often something was seen."""

    what: str
    requests: int


class Caching(TypedDict):
    """How the cache of compressed contexts served those that were looked up."""

    uses: list[Counted]
    """hit, part, miss, store-down."""
    hit_rate: float | None
    """Share of hits (a part counts half) among hit, part and miss; null: nothing was looked up."""
    depths: list[Counted]
    """How deep in the work something was remembered: plan, segments or scores."""
    gate: list[Counted]
    """What was done with text that the provider has likely cached; see Receipt.gate."""


class BudgetLevel(TypedDict):
    """How full one counter of a budget is."""

    budget: str
    org: str
    subject: str | None
    """Whose counter it is, where the budget has one for each user, key, ..."""
    window: str
    unit: Literal["money", "tokens", "requests"]
    limit: int
    """Nano-dollars, tokens or requests; so are the next three."""
    spent: int
    reserved: int
    projected: int | None
    """What will be spent at the window's end if it goes on as since its start; null: too early
    to tell (the first hundredth of the window), or a window without end."""
    step: str | None
    """The share whose step is in force, such as `80%`."""
    steps: list[str]
    """All of them, such as `70% warn`, `100% refuse`."""
    starts_ms: int
    ends_ms: int | None


class Levels(TypedDict):
    """How full all budgets are, the fullest first; at most 200 counters."""

    levels: list[BudgetLevel]
    store_down: bool
    """True: the store does not answer, and `levels` is empty."""


class Overview(TypedDict):
    """The first view. `by` groups `groups` and `series`."""

    window: View
    span: Span
    by: By
    starts_ms: int
    ends_ms: int
    bucket_ms: int
    starts: list[int]
    """Start of each bucket of the charts; a day's bucket begins at midnight of `time_zone`."""
    totals: Figures
    groups: list[Group]
    """The dearest first."""
    series: list[Series]
    outcomes: list[Counted]
    """Of receipts, so with those that were refused before they were sent; see Outcome."""
    failed_open: list[Counted]
    """Requests that went on unchanged because of us, by reason: `compress deadline`, ..."""
    untouched: list[Counted]
    """Why nothing was cut where nothing failed, in words; the ten most frequent."""
    cache: Caching
    steps: list[Quantiles]
    recovered: int
    """Spans of answers that got their original wording back."""
    budgets: Levels


# --- requests -------------------------------------------------------------------------------


class RequestRow(TypedDict):
    """One receipt in the list. No text of prompt or answer."""

    id: str
    at_ms: int
    """When it was complete."""
    path: str
    model: str
    stream: bool
    key: str
    team: str
    route: str
    policy: str
    upstream: str
    compressor: str
    outcome: Outcome
    reason: str
    """Why nothing was cut, or what failed, in words; may be empty."""
    status: int | None
    tokens_before: int | None
    tokens_after: int | None
    cache: str
    added_ms: float
    recovered: int | None
    nano_usd: int | None
    saved_nano_usd: int | None
    has_text: bool
    """True while the policy's keep_text_seconds last."""


class Facets(TypedDict):
    """What can be filtered by, of the newest 10,000 requests."""

    team: list[str]
    route: list[str]
    policy: list[str]
    model: list[str]
    outcome: list[str]


class Requests(TypedDict):
    """The newest first."""

    requests: list[RequestRow]
    next: str | None
    """`before` of the next page; null: there is none."""
    facets: Facets


class SegmentRow(TypedDict):
    """One segment of a prompt: what was asked of it and what it got."""

    index: int
    kind: Kind
    place: str
    """Such as `messages[1].content`."""
    start: int
    """Offset in that string, in characters."""
    tokens: int
    asked: int
    got: int
    reason: str
    """Why it was cut, or why not."""


class KeptSegment(TypedDict):
    """The text of a segment, and what of it was sent."""

    index: int
    kind: Kind
    found: str
    """Why it was held for this kind; quotes the text."""
    text: str
    kept: list[tuple[int, int]]
    """Spans of `text` that were sent, in characters (Unicode code points, not UTF-16 units)."""


class Source(TypedDict):
    """Where in the prompt a restored span comes from."""

    segment: int
    """`index` of a KeptSegment."""
    start: int
    end: int


class EditRow(TypedDict):
    """A stretch of an answer that got its original wording back."""

    start: int
    """Of `now` in the restored text, in characters."""
    end: int
    was: str
    now: str
    source: Source
    why: str


class KeptAnswer(TypedDict):
    """One text of the answer: a choice's content, or the arguments of a call."""

    place: str
    """Such as `choices[0].message.content`."""
    came: str
    """As the upstream wrote it."""
    restored: str
    """As the client got it."""
    edits: list[EditRow]


class KeptText(TypedDict):
    """What a policy with keep_text_seconds has kept of a request."""

    until_ms: int
    segments: list[KeptSegment]
    """All of them, `format` ones included, in the order of the body."""
    order: list[int]
    """Indexes in the order they were sent; empty: as they came."""
    answers: list[KeptAnswer]


class RequestDetail(TypedDict):
    """One request, opened."""

    row: RequestRow
    receipt: dict[str, Any]
    """Everything on the receipt by name, as in the log line; more fields may come."""
    milliseconds: dict[str, float]
    segments: list[SegmentRow]
    """Without `format`; empty: nothing was counted."""
    more_segments: int
    """How many are not listed, of very long prompts."""
    text: KeptText | None
    why_no_text: str
    """Such as: policy 'auto' keeps no text (keep_text_seconds). Empty if there is text."""


class Event(TypedDict):
    """The data of a server-sent event named `requests`, at most one a second, and only when
    there is something new. Ask for the overview again then, if it is shown. A comment line
    comes every 15 seconds; the stream ends with the server or the session."""

    requests: list[RequestRow]
    """New ones, newest first, at most 50."""
    missed: int
    """How many more there were."""


# --- playground -----------------------------------------------------------------------------


class Trial(Frozen):
    """A text or a request body, and how to compress it."""

    text: str = Field(max_length=2_000_000)
    """A plain text, or the JSON of a chat request (an object with `messages`)."""
    compressor: str = "auto"
    rate: Share | None = None
    tokens: int | None = Field(default=None, ge=1)
    question: str | None = Field(default=None, max_length=20_000)
    model: str | None = Field(default=None, max_length=200)
    """Whose tokens and price; null: the one that the body names."""

    @model_validator(mode="after")
    def _one_target(self) -> Trial:
        if self.rate is not None and self.tokens is not None:
            raise ValueError("set rate or tokens, not both")
        return self


class Word(TypedDict):
    """A word of a segment's text."""

    start: int
    end: int
    """In characters; between words stand spaces, which have no entry."""
    kept: bool
    score: float | None
    """0 (the first to go) to 1 (the last): rank among the words of the prompt; null: the
    compressor gave this word no score."""


class TrialSegment(SegmentRow):
    """A segment with its text and the diff by word."""

    found: str
    text: str
    kept: list[tuple[int, int]]
    words: list[Word]


class TrialResult(TypedDict):
    """What became of a trial. Nothing is sent and nothing is kept."""

    is_body: bool
    """True: the text was taken for a request body."""
    compressed: str
    """The shortened text or body."""
    segments: list[TrialSegment]
    """All of them, in the order of the body."""
    order: list[int]
    compressor: str
    scored: str
    """What `Word.score` tells (`surprise of the words to the model`); empty: no scores."""
    tokens_before: int
    tokens_after: int
    asked: int | None
    model: str
    nano_usd_before: int | None
    """Price of the prompt as plain input; null: the model has no price."""
    nano_usd_after: int | None
    why_whole: str
    """Why nothing was cut; empty if something was."""
    milliseconds: dict[str, float]
    """split, plan, compress, render and `all`."""


class Question(Trial):
    """A trial that is sent, raw and compressed. It is charged like any request, as key
    `playground` of the organisation `default`."""

    upstream: str
    """Name of an upstream of the configuration."""
    key: str | None = Field(default=None, max_length=1000)
    """The caller's own key for an upstream without `api_key_env`; goes nowhere else, and only
    while the proxy has no keys of its own."""
    max_tokens: int = Field(default=400, ge=1, le=8000)


class Reply(TypedDict):
    """One of the two answers."""

    ok: bool
    status: int | None
    error: str
    """What the upstream or the proxy said instead of an answer; empty if ok."""
    text: str
    """As it came."""
    restored: str
    """In the original wording; equal to `text` for the raw one."""
    edits: list[EditRow]
    input_tokens: int | None
    output_tokens: int | None
    nano_usd: int | None
    milliseconds: float


class Comparison(TypedDict):
    """Both answers, and how the prompt was compressed."""

    trial: TrialResult
    raw: Reply
    compressed: Reply


# --- policies -------------------------------------------------------------------------------


class PolicyRow(TypedDict):
    """A policy as it is understood."""

    name: str
    compressor: str
    target: str
    """`rate 0.5`, `800 tokens` or `by length`."""
    yaml: str
    """What differs from the defaults, to be edited and given to `dryrun`."""
    settings: dict[str, Any]
    """Everything."""
    routes: list[str]
    """Names of the routes that use it."""


class RouteRow(TypedDict):
    """A route, in the order they are tried."""

    name: str
    """Its name, or its number."""
    matches: list[str]
    """What a request must look like, such as `model gpt-4o*`; empty: every request."""
    policy: str
    upstream: str


class UpstreamRow(TypedDict):
    """An upstream, without any credential."""

    name: str
    url: str
    key: Literal["operator's", "caller's"]
    models: list[str]
    """Models lately asked of it with success, for the playground's choice; may be empty."""


class Policies(TypedDict):
    """The loaded configuration."""

    policies: list[PolicyRow]
    routes: list[RouteRow]
    upstreams: list[UpstreamRow]
    compressors: list[str]
    """That the playground can use here: those whose weights are on this machine."""


class Pasted(Frozen):
    """A request, to be tried against the routes."""

    body: str = Field(max_length=2_000_000)
    path: str = Field(default="/v1/chat/completions", max_length=200)
    headers: dict[str, str] = Field(default_factory=dict)
    team: str | None = None
    key: str | None = None
    """Name of the key, never the key."""


class RouteTry(TypedDict):
    """One route held against a request."""

    route: str
    fits: bool
    chosen: bool
    why: str
    """`model matches 'gpt-4o*'`, or `model is 'o3', not 'gpt-4o*'`."""


class Explained(TypedDict):
    """What would happen to a request, and why."""

    tries: list[RouteTry]
    route: str
    policy: str
    upstream: str
    why: str
    note: str
    trial: TrialResult


class ChangedPolicy(Frozen):
    """A changed policy, to be tried on the last requests."""

    policy: str = Field(max_length=20_000)
    """YAML, as under a policy's name in the configuration."""
    instead_of: str | None = None
    """Only requests of this policy; null: all that had a prompt."""
    count: int = Field(default=100, ge=1, le=100)


class DryRunRow(TypedDict):
    """One past request under the changed policy."""

    id: str
    at_ms: int
    route: str
    tokens_before: int
    tokens_then: int
    tokens_now: int
    saved_nano_usd_then: int | None
    saved_nano_usd_now: int | None
    how: Literal["compressed", "reckoned"]
    """compressed: its text was kept and was compressed again; reckoned: from the tokens of its
    segments alone, as the budget controller would grant them."""
    note: str


class DryRunTotals(TypedDict):
    """All rows together."""

    requests: int
    compressed: int
    """How many of them were compressed again; the others are reckoned."""
    tokens_before: int
    tokens_then: int
    tokens_now: int
    saved_nano_usd_then: int
    saved_nano_usd_now: int


class DryRun(TypedDict):
    """A changed policy over the last requests. Nothing is sent or changed."""

    policy: str
    """As it is understood."""
    rows: list[DryRunRow]
    totals: DryRunTotals
    skipped: list[Counted]
    """Requests that say nothing, by why: `no prompt was counted`, ..."""
