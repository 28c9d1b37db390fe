/** How much came through, what was cut, what it saved and what it cost, over a stretch of time. */
import { useMemo } from "preact/hooks";
import { getOverview } from "../api";
import type { By, Group, Overview, Series, View } from "../contract";
import { count, milliseconds, money, percent, ratio, short } from "../format";
import { inner, language, named, t } from "../language";
import { Budgets } from "../parts/budgets";
import { Chart } from "../parts/chart";
import { Segmented, Select } from "../parts/controls";
import { useLoaded } from "../parts/loaded";
import { Empty, Failed, Waiting } from "../parts/said";
import { Tally } from "../parts/tally";
import { ask, link, place } from "../place";

const WINDOWS: readonly View[] = ["hour", "day", "week", "month"];
const BYS: readonly By[] = ["route", "team", "model", "policy"];
const SHOWN = ["requests", "saved_tokens", "nano_usd", "saved_nano_usd"] as const;
type Shown = (typeof SHOWN)[number];
const LINES = 5;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

function known<T extends string>(values: readonly T[], given: string | null, otherwise: T): T {
  return values.find((each) => each === given) ?? otherwise;
}

export function OverviewView() {
  const asked = place.value.asked;
  const window = known(WINDOWS, asked.get("window"), "day");
  const span = known(["last", "this"] as const, asked.get("span"), "last");
  const by = known(BYS, asked.get("by"), "team");
  const shown = known(SHOWN, asked.get("show"), "saved_tokens");
  const choose = (change: Record<string, string>) => ask({ window, span, by, show: shown, ...change });
  const { data, error, again } = useLoaded(
    (signal) => getOverview({ window, span, by, time_zone: ZONE }, signal),
    [window, span, by],
    { live: true },
  );
  return (
    <>
      <div class="head">
        <div>
          <h1>{t("overview")}</h1>
          <p>{t("overview.about")}</p>
        </div>
        <div class="row">
          <Segmented
            label={t("window")}
            value={window}
            choices={WINDOWS.map((value) => ({ value, label: named("window", value) }))}
            choose={(value) => choose({ window: value })}
          />
          <Segmented
            label={t("span")}
            value={span}
            choices={[
              { value: "last", label: t("span.last") },
              { value: "this", label: t("span.this") },
            ]}
            choose={(value) => choose({ span: value })}
          />
        </div>
      </div>
      <Failed error={error} again={again} />
      {!data && !error && <Waiting />}
      {data && <Totals overview={data} />}
      {data && data.totals.requests === 0 && <FirstSteps />}
      {data && data.totals.requests > 0 && (
        <>
          <Charts overview={data} shown={shown} />
          <Groups overview={data} by={by} shown={shown} choose={choose} />
        </>
      )}
      {data && (
        <>
          <section class="sheet" aria-labelledby="budgets">
            <div class="row spread">
              <h2 id="budgets">{t("budgets")}</h2>
              <a class="small" href={link("keys")}>
                {t("budgets.change")}
              </a>
            </div>
            <Budgets levels={data.budgets} />
          </section>
          <Steps overview={data} />
          <Failures overview={data} />
        </>
      )}
    </>
  );
}

/** An empty window says what to do next. */
function FirstSteps() {
  return (
    <section class="sheet">
      <Empty title={t("empty.requests")}>
        <p>{t("empty.requests.next")}</p>
        <pre>{`export OPENAI_BASE_URL=${location.origin}/v1`}</pre>
      </Empty>
    </section>
  );
}

function Totals({ overview }: { overview: Overview }) {
  const { totals } = overview;
  const refused = overview.outcomes.find(({ what }) => what === "refused")?.requests ?? 0;
  const share = ratio(totals.tokens_saved.total, totals.tokens_before.total);
  const lost = totals.saved_nano_usd.total < 0;
  return (
    <dl class="figures" data-testid="totals">
      <div>
        <dt>{t("requests")}</dt>
        <dd data-figure="requests">{count(totals.requests)}</dd>
        <dd class="sub">{t("totals.refused", { n: count(refused) })}</dd>
        <dd class="sub">{t("totals.recovered", { n: count(overview.recovered) })}</dd>
      </div>
      <div>
        <dt>{t("tokens.saved")}</dt>
        <dd data-figure="tokens_saved">{count(totals.tokens_saved.total)}</dd>
        <dd class="sub">
          {t("totals.of", { whole: count(totals.tokens_before.total), share: percent(share, 1) })}
        </dd>
        <dd class="sub">
          {t("totals.median.tokens", {
            tokens: count(totals.tokens_saved.median),
            share: percent(totals.saved_share, 1),
          })}
        </dd>
      </div>
      <div>
        <dt>{t("money.saved")}</dt>
        <dd data-figure="saved_nano_usd" class={lost ? "bad" : ""}>
          {money(totals.saved_nano_usd.total)}
        </dd>
        <dd class="sub">{t("totals.median", { value: money(totals.saved_nano_usd.median) })}</dd>
        <dd class="sub">{lost ? t("totals.lost") : t("totals.net")}</dd>
      </div>
      <div>
        <dt>{t("money.spent")}</dt>
        <dd data-figure="nano_usd">{money(totals.nano_usd.total)}</dd>
        <dd class="sub">{t("totals.median", { value: money(totals.nano_usd.median) })}</dd>
        <dd class="sub">{t("totals.unpriced", { n: count(totals.unpriced), e: count(totals.estimated) })}</dd>
      </div>
    </dl>
  );
}

function Charts({ overview, shown }: { overview: Overview; shown: Shown }) {
  const { starts, series, by } = overview;
  const at = useMemo(() => starts.map((ms) => ms / 1000), [starts]);
  const seconds = (overview.ends_ms - overview.starts_ms) / 1000;
  const flow = useMemo(
    () => [
      { label: t("tokens.before"), values: summed(series, "tokens_before") },
      { label: t("tokens.after"), values: summed(series, "tokens_after") },
    ],
    [series, language.value],
  );
  const lines = useMemo(() => grouped(series, shown), [series, shown, language.value]);
  const inMoney = shown === "nano_usd" || shown === "saved_nano_usd";
  return (
    <div class="grid-2">
      <Chart title={t("chart.tokens")} at={at} series={flow} write={short} seconds={seconds} />
      <Chart
        title={t("chart.by", { what: named("show", shown), by: inner("by", by) })}
        at={at}
        series={lines}
        write={inMoney ? money : short}
        seconds={seconds}
      />
    </div>
  );
}

function value(series: Series, shown: Shown, index: number): number {
  if (shown === "saved_tokens") return (series.tokens_before[index] ?? 0) - (series.tokens_after[index] ?? 0);
  return series[shown][index] ?? 0;
}

function summed(series: readonly Series[], what: "tokens_before" | "tokens_after"): number[] {
  const length = series[0]?.[what].length ?? 0;
  return Array.from({ length }, (_, index) => series.reduce((sum, each) => sum + (each[what][index] ?? 0), 0));
}

/** The first lines as they are, and all others as one. */
function grouped(series: readonly Series[], shown: Shown) {
  const length = series[0]?.requests.length ?? 0;
  const line = (some: readonly Series[]) =>
    Array.from({ length }, (_, index) => some.reduce((sum, each) => sum + value(each, shown, index), 0));
  const whole = series.filter((each) => !each.rest);
  const many = whole.length > LINES || series.length > whole.length;
  const single = many ? whole.slice(0, LINES) : whole;
  const rest = series.filter((each) => !single.includes(each));
  const lines = single.map((each) => ({ label: each.group || t("none"), values: line([each]) }));
  return rest.length ? [...lines, { label: t("others"), values: line(rest) }] : lines;
}

function Groups(given: {
  overview: Overview;
  by: By;
  shown: Shown;
  choose: (change: Record<string, string>) => void;
}) {
  const { overview, by } = given;
  return (
    <section class="sheet" aria-labelledby="groups">
      <div class="row spread">
        <h2 id="groups">{t("groups", { by: inner("by", by) })}</h2>
        <div class="row">
          <Select
            label={t("groups.by")}
            value={by}
            choices={BYS.map((each) => ({ value: each, label: named("by", each) }))}
            choose={(value) => given.choose({ by: value })}
          />
          <Select
            label={t("groups.show")}
            value={given.shown}
            choices={SHOWN.map((each) => ({ value: each, label: named("show", each) }))}
            choose={(value) => given.choose({ show: value })}
          />
        </div>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-labelledby="groups">
        <table data-testid="groups">
          <thead>
            <tr>
              <th class="name">{named("by", by)}</th>
              <th class="number">{t("requests")}</th>
              <th class="number wide">{t("tokens.before")}</th>
              <th class="number wide">{t("tokens.after")}</th>
              <th class="number">{t("saved.median")}</th>
              <th class="number">{t("money.spent")}</th>
              <th class="number">{t("money.saved")}</th>
            </tr>
          </thead>
          <tbody>
            {overview.groups.map((group) => (
              <GroupRow key={group.group} group={group} by={by} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function GroupRow({ group, by }: { group: Group; by: By }) {
  return (
    <tr>
      <td class="name">
        {group.group ? (
          <a href={link("requests", "", { [by]: group.group })}>{group.group}</a>
        ) : (
          <span class="quiet">{t("none")}</span>
        )}
      </td>
      <td class="number">{count(group.requests)}</td>
      <td class="number wide">{count(group.tokens_before.total)}</td>
      <td class="number wide">{count(group.tokens_after.total)}</td>
      <td class="number">{percent(group.saved_share, 1)}</td>
      <td class="number">{money(group.nano_usd.total)}</td>
      <td class={`number ${group.saved_nano_usd.total < 0 ? "bad" : ""}`}>{money(group.saved_nano_usd.total)}</td>
    </tr>
  );
}

function Steps({ overview }: { overview: Overview }) {
  const { cache } = overview;
  return (
    <div class="grid-2">
      <section class="sheet" aria-labelledby="added">
        <h2 id="added">{t("added")}</h2>
        {overview.steps.length === 0 ? (
          <p class="quiet small">{t("added.none")}</p>
        ) : (
          <div class="scroll" tabIndex={0} role="region" aria-labelledby="added">
            <table data-testid="steps">
              <thead>
                <tr>
                  <th>{t("step")}</th>
                  <th class="number wide">{t("requests")}</th>
                  <th class="number">p50</th>
                  <th class="number">p95</th>
                  <th class="number">p99</th>
                </tr>
              </thead>
              <tbody>
                {overview.steps.map((each) => (
                  <tr key={each.step}>
                    <td class="name">
                      {each.step === "added" ? <strong>{named("step", each.step)}</strong> : named("step", each.step)}
                    </td>
                    <td class="number wide">{count(each.requests)}</td>
                    <td class="number">{milliseconds(each.p50)}</td>
                    <td class="number">{milliseconds(each.p95)}</td>
                    <td class="number">{milliseconds(each.p99)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section class="sheet" aria-labelledby="cache">
        <div class="row spread">
          <h2 id="cache">{t("cache")}</h2>
          <span data-figure="hit_rate">
            <strong>{percent(cache.hit_rate, 1)}</strong> <span class="quiet small">{t("cache.rate")}</span>
          </span>
        </div>
        {cache.hit_rate === null ? (
          <p class="quiet small">{t("cache.none")}</p>
        ) : (
          <Tally rows={cache.uses} name={(what) => named("cache", what)} />
        )}
        {cache.depths.length > 0 && (
          <>
            <h3>{t("depths")}</h3>
            <Tally rows={cache.depths} name={(what) => named("depth", what)} />
          </>
        )}
        {cache.gate.length > 0 && (
          <>
            <h3>{t("gates")}</h3>
            <Tally rows={cache.gate} name={(what) => named("gate", what)} />
          </>
        )}
      </section>
    </div>
  );
}

function Failures({ overview }: { overview: Overview }) {
  return (
    <div class="grid-3">
      <section class="sheet" aria-labelledby="outcomes">
        <h2 id="outcomes">{t("outcomes")}</h2>
        <Tally
          rows={overview.outcomes}
          name={(what) => named("outcome", what)}
          href={(what) => link("requests", "", { outcome: what })}
        />
      </section>
      <section class="sheet" aria-labelledby="failed-open">
        <h2 id="failed-open">{t("failed.open")}</h2>
        {overview.failed_open.length === 0 ? (
          <p class="quiet small">{t("failed.open.none")}</p>
        ) : (
          <>
            <p class="quiet small">{t("failed.open.about")}</p>
            <Tally rows={overview.failed_open} name={(what) => what} />
          </>
        )}
      </section>
      <section class="sheet" aria-labelledby="untouched">
        <h2 id="untouched">{t("untouched")}</h2>
        {overview.untouched.length === 0 ? (
          <p class="quiet small">{t("untouched.none")}</p>
        ) : (
          <Tally rows={overview.untouched} name={(what) => what} />
        )}
      </section>
    </div>
  );
}
