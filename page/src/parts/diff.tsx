/** A text with what was cut struck through, shaded by score, and the places that an answer's
 * restored words came from. */
import { useMemo } from "preact/hooks";
import { t } from "../language";

export type Span = readonly [start: number, end: number];

export interface Score {
  start: number;
  end: number;
  /** From 0, the least needed, to 1. */
  score: number;
}

export interface Source {
  start: number;
  end: number;
  /** The element's id, to be jumped to. */
  id: string;
}

export interface Run {
  text: string;
  kept: boolean;
  shade: number;
  source: string | undefined;
  score: number | undefined;
}

/** Cuts a text where anything about it changes. Spans are sorted and do not overlap. */
export function runs(
  text: string,
  kept: readonly Span[],
  scores: readonly Score[] = [],
  sources: readonly Source[] = [],
): Run[] {
  const edges = new Set([0, text.length]);
  for (const [start, end] of kept) edges.add(start).add(end);
  for (const { start, end } of [...scores, ...sources]) edges.add(start).add(end);
  const at = [...edges].filter((edge) => edge >= 0 && edge <= text.length).sort((a, b) => a - b);
  const found: Run[] = [];
  let k = 0;
  let s = 0;
  for (let index = 0; index + 1 < at.length; index++) {
    const start = at[index]!;
    const end = at[index + 1]!;
    while (k < kept.length && kept[k]![1] <= start) k++;
    while (s < scores.length && scores[s]!.end <= start) s++;
    const span = kept[k];
    const score = scores[s];
    const judged = score && score.start <= start ? score.score : undefined;
    found.push({
      text: text.slice(start, end),
      kept: span !== undefined && span[0] <= start,
      shade: judged === undefined ? 0 : Math.min(5, Math.ceil(judged * 5)),
      source: sources.find((each) => each.start <= start && end <= each.end)?.id,
      score: judged,
    });
  }
  return found;
}

export function Diff(given: {
  text: string;
  kept: readonly Span[];
  scores?: readonly Score[];
  sources?: readonly Source[];
}) {
  const parts = useMemo(
    () => runs(given.text, given.kept, given.scores, given.sources),
    [given.text, given.kept, given.scores, given.sources],
  );
  const seen = new Set<string>();
  return (
    <div class="text">
      {parts.map((run, index) => {
        const first = run.source !== undefined && !seen.has(run.source);
        if (run.source !== undefined) seen.add(run.source);
        const look = {
          class: [run.shade ? `h${run.shade}` : "", run.source ? "source" : "", run.kept || run.text.trim() ? "" : "ws"]
            .filter(Boolean)
            .join(" ") || undefined,
          id: first ? run.source : undefined,
          tabIndex: first ? -1 : undefined,
          title: run.score === undefined ? undefined : t("score.title", { score: run.score.toFixed(2) }),
        };
        if (!run.kept) return <del key={index} {...look}>{run.text}</del>;
        if (look.class || look.title) return <span key={index} {...look}>{run.text}</span>;
        return run.text;
      })}
    </div>
  );
}
