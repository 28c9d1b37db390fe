/** Shapes of the JSON API under /ui/api. Written by contract.py: change them there. */

export type By = "route" | "team" | "model" | "policy";

export type Kind = "instruction" | "demonstration" | "document" | "question" | "history" | "tool_output" | "format";

export type Outcome = "shortened" | "untouched" | "failed open" | "refused" | "upstream error" | "broken off" | "client gone";

export type Span = "last" | "this";

export type View = "hour" | "day" | "week" | "month";

export interface Login {
  key: string;
}

export interface Session {
  access: "open" | "signed_in" | "sign_in" | "closed";
  why: string;
  may_make_keys: boolean;
  version: string;
}

export interface Spread {
  total: number;
  median: number | null;
}

export interface Figures {
  requests: number;
  tokens_before: Spread;
  tokens_after: Spread;
  tokens_saved: Spread;
  saved_share: number | null;
  nano_usd: Spread;
  saved_nano_usd: Spread;
  estimated: number;
  unpriced: number;
  lost: number;
}

export interface Group {
  requests: number;
  tokens_before: Spread;
  tokens_after: Spread;
  tokens_saved: Spread;
  saved_share: number | null;
  nano_usd: Spread;
  saved_nano_usd: Spread;
  estimated: number;
  unpriced: number;
  lost: number;
  group: string;
}

export interface Series {
  group: string;
  rest: boolean;
  requests: number[];
  tokens_before: number[];
  tokens_after: number[];
  nano_usd: number[];
  saved_nano_usd: number[];
}

export interface Quantiles {
  step: string;
  requests: number;
  p50: number;
  p95: number;
  p99: number;
}

export interface Counted {
  what: string;
  requests: number;
}

export interface Caching {
  uses: Counted[];
  hit_rate: number | null;
  depths: Counted[];
  gate: Counted[];
}

export interface BudgetLevel {
  budget: string;
  org: string;
  subject: string | null;
  window: string;
  unit: "money" | "tokens" | "requests";
  limit: number;
  spent: number;
  reserved: number;
  projected: number | null;
  step: string | null;
  steps: string[];
  starts_ms: number;
  ends_ms: number | null;
}

export interface Levels {
  levels: BudgetLevel[];
  store_down: boolean;
}

export interface Overview {
  window: View;
  span: Span;
  by: By;
  starts_ms: number;
  ends_ms: number;
  bucket_ms: number;
  starts: number[];
  totals: Figures;
  groups: Group[];
  series: Series[];
  outcomes: Counted[];
  failed_open: Counted[];
  untouched: Counted[];
  cache: Caching;
  steps: Quantiles[];
  recovered: number;
  budgets: Levels;
}

export interface RequestRow {
  id: string;
  at_ms: number;
  path: string;
  model: string;
  stream: boolean;
  key: string;
  team: string;
  route: string;
  policy: string;
  upstream: string;
  compressor: string;
  outcome: Outcome;
  reason: string;
  status: number | null;
  tokens_before: number | null;
  tokens_after: number | null;
  cache: string;
  added_ms: number;
  recovered: number | null;
  nano_usd: number | null;
  saved_nano_usd: number | null;
  has_text: boolean;
}

export interface Facets {
  team: string[];
  route: string[];
  policy: string[];
  model: string[];
  outcome: string[];
}

export interface Requests {
  requests: RequestRow[];
  next: string | null;
  facets: Facets;
}

export interface SegmentRow {
  index: number;
  kind: Kind;
  place: string;
  start: number;
  tokens: number;
  asked: number;
  got: number;
  reason: string;
}

export interface KeptSegment {
  index: number;
  kind: Kind;
  found: string;
  text: string;
  kept: [number, number][];
}

export interface Source {
  segment: number;
  start: number;
  end: number;
}

export interface EditRow {
  start: number;
  end: number;
  was: string;
  now: string;
  source: Source;
  why: string;
}

export interface KeptAnswer {
  place: string;
  came: string;
  restored: string;
  edits: EditRow[];
}

export interface KeptText {
  until_ms: number;
  segments: KeptSegment[];
  order: number[];
  answers: KeptAnswer[];
}

export interface RequestDetail {
  row: RequestRow;
  receipt: Record<string, unknown>;
  milliseconds: Record<string, number>;
  segments: SegmentRow[];
  more_segments: number;
  text: KeptText | null;
  why_no_text: string;
}

export interface Event {
  requests: RequestRow[];
  missed: number;
}

export interface Trial {
  text: string;
  compressor?: string;
  rate?: number | null;
  tokens?: number | null;
  question?: string | null;
  model?: string | null;
}

export interface Word {
  start: number;
  end: number;
  kept: boolean;
  score: number | null;
}

export interface TrialSegment {
  index: number;
  kind: Kind;
  place: string;
  start: number;
  tokens: number;
  asked: number;
  got: number;
  reason: string;
  found: string;
  text: string;
  kept: [number, number][];
  words: Word[];
}

export interface TrialResult {
  is_body: boolean;
  compressed: string;
  segments: TrialSegment[];
  order: number[];
  compressor: string;
  scored: string;
  tokens_before: number;
  tokens_after: number;
  asked: number | null;
  model: string;
  nano_usd_before: number | null;
  nano_usd_after: number | null;
  why_whole: string;
  milliseconds: Record<string, number>;
}

export interface Question {
  text: string;
  compressor?: string;
  rate?: number | null;
  tokens?: number | null;
  question?: string | null;
  model?: string | null;
  upstream: string;
  key?: string | null;
  max_tokens?: number;
}

export interface Reply {
  ok: boolean;
  status: number | null;
  error: string;
  text: string;
  restored: string;
  edits: EditRow[];
  input_tokens: number | null;
  output_tokens: number | null;
  nano_usd: number | null;
  milliseconds: number;
}

export interface Comparison {
  trial: TrialResult;
  raw: Reply;
  compressed: Reply;
}

export interface PolicyRow {
  name: string;
  compressor: string;
  target: string;
  yaml: string;
  settings: Record<string, unknown>;
  routes: string[];
}

export interface RouteRow {
  name: string;
  matches: string[];
  policy: string;
  upstream: string;
}

export interface UpstreamRow {
  name: string;
  url: string;
  key: "operator's" | "caller's";
  models: string[];
}

export interface Policies {
  policies: PolicyRow[];
  routes: RouteRow[];
  upstreams: UpstreamRow[];
  compressors: string[];
}

export interface Pasted {
  body: string;
  path?: string;
  headers?: Record<string, string>;
  team?: string | null;
  key?: string | null;
}

export interface RouteTry {
  route: string;
  fits: boolean;
  chosen: boolean;
  why: string;
}

export interface Explained {
  tries: RouteTry[];
  route: string;
  policy: string;
  upstream: string;
  why: string;
  note: string;
  trial: TrialResult;
}

export interface ChangedPolicy {
  policy: string;
  instead_of?: string | null;
  count?: number;
}

export interface DryRunRow {
  id: string;
  at_ms: number;
  route: string;
  tokens_before: number;
  tokens_then: number;
  tokens_now: number;
  saved_nano_usd_then: number | null;
  saved_nano_usd_now: number | null;
  how: "compressed" | "reckoned";
  note: string;
}

export interface DryRunTotals {
  requests: number;
  compressed: number;
  tokens_before: number;
  tokens_then: number;
  tokens_now: number;
  saved_nano_usd_then: number;
  saved_nano_usd_now: number;
}

export interface DryRun {
  policy: string;
  rows: DryRunRow[];
  totals: DryRunTotals;
  skipped: Counted[];
}
