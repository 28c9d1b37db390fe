/** Numbers as people read them. Unknown is a dash, never a nought. */
import { language } from "./language";

export const UNKNOWN = "–";
const NANO = 1_000_000_000;

function number(value: number, options: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat(language.value, options).format(value).replace("-", "−");
}

/** Nano-dollars with enough digits for three that count: $12.40, $0.00213, −$0.0000412. */
export function money(nano: number | null | undefined): string {
  if (nano === null || nano === undefined) return UNKNOWN;
  const dollars = nano / NANO;
  const size = Math.abs(dollars);
  const digits = size === 0 || size >= 1 ? 2 : Math.min(9, 2 - Math.floor(Math.log10(size)));
  return number(dollars, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  });
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : number(value, { maximumFractionDigits: 0 });
}

/** For axes: 12K, 3.4M. */
export function short(value: number): string {
  return number(value, { notation: "compact", maximumSignificantDigits: 3 });
}

export function percent(share: number | null | undefined, digits = 0): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return UNKNOWN;
  return number(share, { style: "percent", maximumFractionDigits: digits });
}

/** The part of a whole as a share; of nothing, nothing. */
export function ratio(part: number | null | undefined, whole: number | null | undefined): number | null {
  return part === null || part === undefined || !whole ? null : part / whole;
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms >= 10_000) return `${number(ms / 1000, { maximumFractionDigits: 1 })} s`;
  return `${number(ms, { maximumFractionDigits: ms < 10 ? 1 : 0 })} ms`;
}

/** A moment; `at` in seconds since 1970. */
export function moment(at: number, style: "time" | "short" | "full" = "short"): string {
  const options: Intl.DateTimeFormatOptions =
    style === "time"
      ? { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }
      : style === "short"
        ? { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
        : { dateStyle: "medium", timeStyle: "medium" };
  return new Intl.DateTimeFormat(language.value, options).format(at * 1000);
}

export function when(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? UNKNOWN : moment(ms / 1000);
}
