/** What became of a trial: the numbers, and the text by segment with the diff by word. */
import { useState } from "preact/hooks";
import type { EditRow, TrialResult } from "../contract";
import { count, milliseconds, money, percent, ratio } from "../format";
import { named, t } from "../language";
import { sourcesOf } from "./answer";
import { Segmented } from "./controls";
import { Segment } from "./segment";

export function TrialShown({ result, edits = [] }: { result: TrialResult; edits?: readonly EditRow[] }) {
  const [which, choose] = useState<"diff" | "sent">("diff");
  const saved = result.tokens_before - result.tokens_after;
  const saving = result.nano_usd_before === null || result.nano_usd_after === null
    ? null
    : result.nano_usd_before - result.nano_usd_after;
  const steps = Object.entries(result.milliseconds).filter(([step]) => step !== "all");
  return (
    <>
      <dl class="facts" data-testid="trial-facts">
        <dt>{t("tokens")}</dt>
        <dd>
          <strong>
            {count(result.tokens_before)} → {count(result.tokens_after)}
          </strong>{" "}
          <span class="quiet">
            {t("tokens.less", { n: count(saved), share: percent(ratio(saved, result.tokens_before), 1) })}
            {result.asked !== null && ` · ${t("asked.for", { n: count(result.asked) })}`}
          </span>
        </dd>
        <dt>{t("price")}</dt>
        <dd>
          {result.nano_usd_before === null ? (
            <span class="quiet">{t(result.model ? "price.unknown" : "price.no.model", { model: result.model })}</span>
          ) : (
            <>
              <strong>
                {money(result.nano_usd_before)} → {money(result.nano_usd_after)}
              </strong>{" "}
              <span class="quiet">{t("price.about", { saved: money(saving), model: result.model })}</span>
            </>
          )}
        </dd>
        <dt>{t("took")}</dt>
        <dd>
          <strong>{milliseconds(result.milliseconds.all)}</strong>{" "}
          <span class="quiet">{steps.map(([step, ms]) => `${named("step", step)} ${milliseconds(ms)}`).join(" · ")}</span>
        </dd>
        <dt>{t("compressor")}</dt>
        <dd>{result.compressor}</dd>
      </dl>
      {result.why_whole && <p class="note warn">{result.why_whole}</p>}
      <div class="row spread">
        <Segmented
          label={t("shown")}
          value={which}
          choose={choose}
          choices={[
            { value: "diff", label: t("shown.diff") },
            { value: "sent", label: t(result.is_body ? "shown.body" : "shown.sent") },
          ]}
        />
        {which === "diff" && result.scored && (
          <span class="scale" title={result.scored}>
            {t("scale.low")} <i class="h1" />
            <i class="h3" />
            <i class="h5" /> {t("scale.high")} · {result.scored}
          </span>
        )}
      </div>
      {which === "sent" ? (
        <pre tabIndex={0}>{result.compressed}</pre>
      ) : (
        <div class="segments">
          {result.order.length > 0 && (
            <p class="small quiet">{t("prompt.order", { order: result.order.join(", ") })}</p>
          )}
          {result.segments.map((segment) => (
            <Segment
              key={segment.index}
              segment={segment}
              numbers={segment}
              sources={sourcesOf([{ edits: [...edits] }], segment)}
            />
          ))}
        </div>
      )}
    </>
  );
}
