/** One request, opened: what was asked of each segment and what it got, and, where the policy keeps
 * text, what was cut and what came back. */
import { Fragment } from "preact";
import { getRequest } from "../api";
import type { RequestDetail, RequestRow, SegmentRow } from "../contract";
import { count, milliseconds, moment, money, percent, ratio } from "../format";
import { named, t } from "../language";
import { Answer, sourcesOf } from "../parts/answer";
import { Bar } from "../parts/bar";
import { useLoaded } from "../parts/loaded";
import { Outcome } from "../parts/outcome";
import { Failed, Waiting } from "../parts/said";
import { KindName, Segment } from "../parts/segment";
import { link, place } from "../place";

export function RequestView() {
  const id = place.value.id;
  const { data, error, again } = useLoaded((signal) => getRequest(id, signal), [id]);
  return (
    <>
      <div class="head">
        <div>
          <a href={link("requests")} class="small">
            ← {t("requests")}
          </a>
          <h1>{data ? t("request.title", { when: moment(data.row.at_ms / 1000, "full") }) : t("request")}</h1>
          <p class="mono">{id}</p>
        </div>
        {data && <Outcome row={data.row} />}
      </div>
      <Failed error={error} again={again} />
      {!data && !error && <Waiting />}
      {data && <Opened detail={data} />}
    </>
  );
}

function Opened({ detail }: { detail: RequestDetail }) {
  const { row, text } = detail;
  return (
    <>
      {row.reason && <p class={`note ${row.outcome === "failed open" ? "warn" : ""}`}>{row.reason}</p>}
      <Figures row={row} />
      <div class="grid-2">
        <Facts detail={detail} />
        <Times detail={detail} />
      </div>
      {text ? <Kept detail={detail} text={text} /> : <p class="note">{detail.why_no_text}</p>}
      <Segments detail={detail} />
      <details class="sheet">
        <summary>{t("receipt")}</summary>
        <pre tabIndex={0}>{JSON.stringify(detail.receipt, null, 2)}</pre>
      </details>
    </>
  );
}

function Figures({ row }: { row: RequestRow }) {
  const saved = row.tokens_before === null ? null : row.tokens_before - (row.tokens_after ?? 0);
  const lost = (row.saved_nano_usd ?? 0) < 0;
  return (
    <dl class="figures">
      <div>
        <dt>{t("tokens.prompt")}</dt>
        <dd>{row.tokens_before === null ? count(null) : `${count(row.tokens_before)} → ${count(row.tokens_after)}`}</dd>
        <dd class="sub">{t("tokens.less", { n: count(saved), share: percent(ratio(saved, row.tokens_before), 1) })}</dd>
      </div>
      <div>
        <dt>{t("recovered")}</dt>
        <dd>{count(row.recovered)}</dd>
        <dd class="sub">{row.recovered === null ? t("recovered.not") : t("recovered.about")}</dd>
      </div>
      <div>
        <dt>{t("money.saved")}</dt>
        <dd class={lost ? "bad" : ""}>{money(row.saved_nano_usd)}</dd>
        <dd class="sub">{t("request.cost", { cost: money(row.nano_usd) })}</dd>
      </div>
      <div>
        <dt>{t("added.short")}</dt>
        <dd>{milliseconds(row.added_ms)}</dd>
        <dd class="sub">
          {t("cache")}: {named("cache", row.cache)}
        </dd>
      </div>
    </dl>
  );
}

function Facts({ detail: { row } }: { detail: RequestDetail }) {
  const facts: [string, string][] = [
    [t("by.model"), row.model],
    [t("path"), row.path],
    [t("by.team"), row.team],
    [t("by.key"), row.key],
    [t("by.route"), row.route],
    [t("by.policy"), row.compressor ? `${row.policy} (${row.compressor})` : row.policy],
    [t("upstream"), row.upstream],
    [t("status"), `${row.status ?? t("status.none")}${row.stream ? ` · ${t("streamed")}` : ""}`],
  ];
  return (
    <section class="sheet" aria-labelledby="facts">
      <h2 id="facts">{t("request.facts")}</h2>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value || <span class="quiet">{t("none")}</span>}</dd>
          </Fragment>
        ))}
      </dl>
    </section>
  );
}

function Times({ detail: { milliseconds: spent } }: { detail: RequestDetail }) {
  const steps = Object.entries(spent);
  const most = Math.max(1e-9, ...steps.map(([, ms]) => ms));
  return (
    <section class="sheet" aria-labelledby="times">
      <h2 id="times">{t("added")}</h2>
      {steps.length === 0 && <p class="quiet small">{t("added.none")}</p>}
      <table class="tally">
        <tbody>
          {steps.map(([step, ms]) => (
            <tr key={step}>
              <th scope="row">{named("step", step)}</th>
              <td class="gauge">
                <Bar parts={[{ share: ms / most }]} />
              </td>
              <td class="number">{milliseconds(ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Kept({ detail, text }: { detail: RequestDetail; text: NonNullable<RequestDetail["text"]> }) {
  const rows = new Map(detail.segments.map((row) => [row.index, row]));
  return (
    <>
      <section class="sheet" aria-labelledby="answers">
        <div class="row spread">
          <h2 id="answers">{t("answers")}</h2>
          <span class="small quiet">{t("text.until", { when: moment(text.until_ms / 1000) })}</span>
        </div>
        {text.answers.length === 0 && <p class="quiet small">{t("answers.none")}</p>}
        {text.answers.map((answer) => (
          <Answer key={answer.place} answer={answer} />
        ))}
      </section>
      <section class="sheet" aria-labelledby="prompt">
        <div class="row spread">
          <h2 id="prompt">{t("prompt")}</h2>
          <span class="small quiet">
            {t("prompt.legend.before")}
            <del class="text-cut">{t("prompt.legend.cut")}</del>
          </span>
        </div>
        {text.order.length > 0 && <p class="small quiet">{t("prompt.order", { order: text.order.join(", ") })}</p>}
        {text.segments.map((segment) => (
          <Segment
            key={segment.index}
            segment={segment}
            numbers={rows.get(segment.index)}
            sources={sourcesOf(text.answers, segment)}
          />
        ))}
      </section>
    </>
  );
}

function Segments({ detail }: { detail: RequestDetail }) {
  if (detail.segments.length === 0) return null;
  return (
    <section class="sheet" aria-labelledby="segments">
      <h2 id="segments">{t("segments")}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-labelledby="segments">
        <table data-testid="segments">
          <thead>
            <tr>
              <th>{t("segment")}</th>
              <th class="wide">{t("place")}</th>
              <th class="number">{t("tokens")}</th>
              <th class="number">{t("asked")}</th>
              <th class="number">{t("got")}</th>
              <th>{t("reason")}</th>
            </tr>
          </thead>
          <tbody>
            {detail.segments.map((row) => (
              <SegmentLine key={row.index} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {detail.more_segments > 0 && <p class="quiet small">{t("segments.more", { n: count(detail.more_segments) })}</p>}
    </section>
  );
}

function SegmentLine({ row }: { row: SegmentRow }) {
  return (
    <tr>
      <td class="name">
        <KindName kind={row.kind} />
      </td>
      <td class="mono wide">
        {row.place}:{row.start}
      </td>
      <td class="number">{count(row.tokens)}</td>
      <td class="number">{count(row.asked)}</td>
      <td class={`number ${row.got < row.tokens ? "bad" : ""}`}>{count(row.got)}</td>
      <td class="reason">{row.reason}</td>
    </tr>
  );
}
