/** Calls of the JSON API under /ui/api. */
import { signal } from "@preact/signals";
import type * as C from "./contract";
import { t } from "./language";

/** Whether this browser may look; undefined until the server has said. */
export const session = signal<C.Session | undefined>(undefined);

/** The server's no, in its own words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Key {
  id: string;
  name: string;
  org: string;
  team: string | null;
  user: string | null;
  policy: string | null;
  models: string[];
  created_ms: number;
  expires_ms: number | null;
  revoked_ms: number | null;
}

export interface NewKey {
  name: string;
  org?: string;
  team?: string;
  user?: string;
  policy?: string;
  models?: string[];
  expires_seconds?: number;
}

export interface MadeKey {
  secret: string;
  key: Key;
}

/** A budget as it is declared; `at` holds the steps by share. */
export interface Budget {
  name: string;
  match: Record<string, string | null>;
  each: string | null;
  window: string;
  time_zone: string;
  unit: "money" | "tokens" | "requests";
  limit: string | number;
  at: Record<string, unknown>;
  [more: string]: unknown;
}

type Asked = Record<string, string | number | null | undefined>;

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`/ui/api/${path}`, {
      method,
      signal,
      headers: method === "GET" ? {} : { "content-type": "application/json", "x-unabridged-page": "1" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(t("error.unreachable"));
  }
  const said: unknown = await answer.json().catch(() => undefined);
  if (answer.ok && said !== undefined) return said as T;
  const error = (said as { error?: { code?: string; message?: string } } | undefined)?.error;
  if (answer.status === 401 && path !== "login") void getSession().catch(() => undefined);
  throw new Refused(
    answer.status,
    error?.code ?? "",
    error?.message ?? t("error.status", { status: answer.status }),
  );
}

function get<T>(path: string, asked: Asked = {}, signal?: AbortSignal): Promise<T> {
  const set = Object.entries(asked).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return call("GET", query ? `${path}?${query}` : path, undefined, signal);
}

async function kept(answer: Promise<C.Session>): Promise<C.Session> {
  return (session.value = await answer);
}

const part = encodeURIComponent;

export const getSession = () => kept(get<C.Session>("session"));
export const login = (key: string) => kept(call<C.Session>("POST", "login", { key }));
export const logout = () => kept(call<C.Session>("POST", "logout"));

export const getOverview = (asked: Asked, signal: AbortSignal) => get<C.Overview>("overview", asked, signal);
export const getRequests = (asked: Asked, signal?: AbortSignal) => get<C.Requests>("requests", asked, signal);
export const getRequest = (id: string, signal: AbortSignal) =>
  get<C.RequestDetail>(`requests/${part(id)}`, {}, signal);

export const tryOut = (trial: C.Trial, signal?: AbortSignal) =>
  call<C.TrialResult>("POST", "playground/compress", trial, signal);
export const sendBoth = (question: C.Question, signal?: AbortSignal) =>
  call<C.Comparison>("POST", "playground/ask", question, signal);

export const getPolicies = (signal?: AbortSignal) => get<C.Policies>("policies", {}, signal);
export const explain = (pasted: C.Pasted) => call<C.Explained>("POST", "explain", pasted);
export const dryRun = (changed: C.ChangedPolicy) => call<C.DryRun>("POST", "dryrun", changed);

export const getKeys = (signal: AbortSignal) => get<{ keys: Key[] }>("keys", {}, signal);
export const makeKey = (asked: NewKey) => call<MadeKey>("POST", "keys", asked);
export const revokeKey = (key: Key) => call<unknown>("DELETE", `keys/${part(key.id)}?org=${part(key.org)}`);
export const rotateKey = (key: Key, grace_seconds: number) =>
  call<MadeKey>("POST", `keys/${part(key.id)}/rotate?org=${part(key.org)}`, { grace_seconds });

export const getBudgets = (signal: AbortSignal) => get<{ budgets: Budget[] }>("budgets", {}, signal);
export const setBudget = ({ name, ...rest }: Budget) => call<unknown>("PUT", `budgets/${part(name)}`, rest);
export const endBudget = (name: string) => call<unknown>("DELETE", `budgets/${part(name)}`);
export const getLevels = (signal: AbortSignal) => get<C.Levels>("levels", {}, signal);
