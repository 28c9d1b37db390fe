/** An answer with what was restored in it marked, each mark a way to where it came from. */
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { offsets } from "../codepoints";
import type { EditRow, KeptAnswer, KeptSegment, Source } from "../contract";
import { count } from "../format";
import { t } from "../language";
import { Segmented } from "./controls";
import { sourceId } from "./segment";

type Told = Pick<KeptAnswer, "came" | "restored" | "edits"> & { place?: string };

/** All stretches of a segment that some answer got back. */
export function sourcesOf(answers: readonly Pick<KeptAnswer, "edits">[], segment: Pick<KeptSegment, "index">): Source[] {
  return answers.flatMap(({ edits }) =>
    edits.map(({ source }) => source).filter((source) => source.segment === segment.index),
  );
}

export function Answer({ answer, raw = false }: { answer: Told; raw?: boolean }) {
  const [which, choose] = useState<"restored" | "came">("restored");
  return (
    <div class="answer">
      <div class="row spread">
        <span class="small quiet">
          {answer.place && <span class="mono">{answer.place} · </span>}
          {raw ? t("answer.raw") : answer.edits.length === 0 ? t("answer.same") : t("answer.edits", { n: count(answer.edits.length) })}
        </span>
        {answer.edits.length > 0 && (
          <Segmented
            label={t("answer.which")}
            value={which}
            choose={choose}
            choices={[
              { value: "restored", label: t("answer.restored") },
              { value: "came", label: t("answer.came") },
            ]}
          />
        )}
      </div>
      <div class="text">{which === "came" ? answer.came : <Restored answer={answer} />}</div>
    </div>
  );
}

function Restored({ answer: { restored, edits } }: { answer: Told }) {
  const here = offsets(restored);
  const sorted = [...edits].sort((a, b) => a.start - b.start);
  let at = 0;
  const parts = sorted.map((edit, index) => {
    const before = restored.slice(at, here(edit.start));
    at = here(edit.end);
    return (
      <Fragment key={index}>
        {before}
        <button
          type="button"
          class="back"
          title={told(edit)}
          aria-label={`${edit.now}. ${told(edit)}`}
          onClick={() => show(edit.source)}
        >
          {edit.now}
        </button>
      </Fragment>
    );
  });
  return (
    <>
      {parts}
      {restored.slice(at)}
    </>
  );
}

function told(edit: EditRow): string {
  return t("answer.edit", { was: edit.was, why: edit.why });
}

/** Scrolls to where it came from and puts the focus there. */
function show(source: Source): void {
  const element = document.getElementById(sourceId(source));
  element?.scrollIntoView({ block: "center" });
  element?.focus({ preventScroll: true });
}
