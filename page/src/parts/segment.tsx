/** One segment of a prompt with its text: what it is for, what it kept and why. */
import { useMemo } from "preact/hooks";
import { offsets, spans } from "../codepoints";
import type { KeptSegment, Kind, SegmentRow, Source, Word } from "../contract";
import { count } from "../format";
import { named, t } from "../language";
import { Diff } from "./diff";

const MARKS: Record<Kind, string> = {
  instruction: "k-instruction",
  demonstration: "k-demonstration",
  document: "k-document",
  question: "k-question",
  history: "k-history",
  tool_output: "k-tool",
  format: "k-format",
};

export function KindName({ kind }: { kind: Kind }) {
  return <span class={`kind ${MARKS[kind]}`}>{named("kind", kind)}</span>;
}

/** The element that a restored span's source is. */
export function sourceId(source: Source): string {
  return `source-${source.segment}-${source.start}-${source.end}`;
}

export function Segment(given: {
  segment: KeptSegment & { words?: Word[] };
  numbers?: SegmentRow | undefined;
  sources?: readonly Source[];
}) {
  const { segment, numbers } = given;
  // Empty lines that end a segment would only be a gap.
  const text = segment.text.replace(/\n+$/, "");
  const here = useMemo(() => offsets(segment.text), [segment.text]);
  const kept = useMemo(() => spans(segment.text, segment.kept), [segment]);
  const scores = useMemo(
    () =>
      (segment.words ?? []).flatMap((word) =>
        word.score === null ? [] : [{ start: here(word.start), end: here(word.end), score: word.score }],
      ),
    [segment, here],
  );
  const sources = useMemo(
    () =>
      (given.sources ?? []).map((source) => ({
        start: here(source.start),
        end: here(source.end),
        id: sourceId(source),
      })),
    [given.sources, here],
  );
  // What only holds the others together needs no label.
  if (segment.kind === "format") {
    return segment.text.trim() ? <Diff text={segment.text.trim()} kept={[[0, segment.text.length]]} /> : null;
  }
  const cut = numbers !== undefined && numbers.got < numbers.tokens;
  return (
    <article class={`segment ${cut ? "cut" : ""}`}>
      <div class="label">
        <KindName kind={segment.kind} />
        {numbers && (
          <span>
            {cut
              ? t("segment.cut", {
                  before: count(numbers.tokens),
                  after: count(numbers.got),
                  asked: count(numbers.asked),
                })
              : t("segment.whole", { n: count(numbers.tokens) })}
          </span>
        )}
        {numbers && <span>{numbers.reason}</span>}
      </div>
      <Diff text={text} kept={kept} scores={scores} sources={sources} />
    </article>
  );
}
