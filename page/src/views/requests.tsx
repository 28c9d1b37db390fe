/** The latest requests, filtered. */
import { useEffect, useState } from "preact/hooks";
import { getRequests } from "../api";
import type { Facets, RequestRow, Requests } from "../contract";
import { count, milliseconds, moment, money, percent, ratio } from "../format";
import { named, t } from "../language";
import { Select } from "../parts/controls";
import { useLoaded } from "../parts/loaded";
import { Outcome } from "../parts/outcome";
import { Empty, Failed, Waiting } from "../parts/said";
import { ask, link, place } from "../place";

const FILTERS = ["team", "route", "policy", "model", "outcome"] as const;
type Filter = (typeof FILTERS)[number];
type Filters = Partial<Record<Filter, string>>;

export function RequestsView() {
  const asked = place.value.asked;
  const filters: Filters = Object.fromEntries(
    FILTERS.map((name) => [name, asked.get(name) ?? undefined]),
  );
  const on = FILTERS.map((name) => filters[name]);
  const { data, error, again } = useLoaded((signal) => getRequests(filters, signal), on, { live: true });
  return (
    <>
      <div class="head">
        <div>
          <h1>{t("requests")}</h1>
          <p>{t("requests.about")}</p>
        </div>
      </div>
      <Failed error={error} again={again} />
      {!data && !error && <Waiting />}
      {data && <Filtering filters={filters} facets={data.facets} />}
      {data && <Listed key={on.join("\n")} first={data} filters={filters} />}
    </>
  );
}

function Filtering({ filters, facets }: { filters: Filters; facets: Facets }) {
  return (
    <form class="fields" role="search" aria-label={t("filter")} onSubmit={(event) => event.preventDefault()}>
      {FILTERS.map((name) => (
        <Select
          key={name}
          label={named("by", name)}
          value={filters[name] ?? ""}
          choices={[
            { value: "", label: t("all") },
            ...[...new Set([...facets[name], ...(filters[name] ? [filters[name]] : [])])].map((value) => ({
              value,
              label: name === "outcome" ? named("outcome", value) : value,
            })),
          ]}
          choose={(value) => ask({ ...filters, [name]: value })}
        />
      ))}
    </form>
  );
}

function Listed({ first, filters }: { first: Requests; filters: Filters }) {
  const [older, add] = useState<Requests[]>([]);
  const [failed, fail] = useState<Error>();
  const last = older.at(-1) ?? first;
  // New requests push the first page's end down, past the start of the next one.
  const rows = unique([...first.requests, ...older.flatMap((page) => page.requests)]);
  const more = () => {
    getRequests({ ...filters, before: last.next ?? undefined }).then(
      (page) => {
        fail(undefined);
        add((pages) => [...pages, page]);
      },
      fail,
    );
  };
  const filtered = FILTERS.some((name) => filters[name]);
  useEffect(() => fail(undefined), [first]);
  if (rows.length === 0)
    return (
      <section class="sheet">
        {filtered ? (
          <Empty title={t("empty.filtered")}>
            <a href={link("requests")}>{t("filter.clear")}</a>
          </Empty>
        ) : (
          <Empty title={t("empty.requests")}>
            <p>{t("empty.requests.next")}</p>
            <pre>{`export OPENAI_BASE_URL=${location.origin}/v1`}</pre>
          </Empty>
        )}
      </section>
    );
  return (
    <section class="sheet" aria-label={t("requests")}>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("requests")}>
        <table class="requests" data-testid="requests">
          <thead>
            <tr>
              <th>{t("time")}</th>
              <th>{t("by.model")}</th>
              <th class="wide">{t("by.team")}</th>
              <th class="wide">{t("by.route")}</th>
              <th class="wide">{t("by.policy")}</th>
              <th>{t("by.outcome")}</th>
              <th class="number">{t("tokens")}</th>
              <th class="number wide">{t("added.short")}</th>
              <th class="number wide">{t("recovered")}</th>
              <th class="number wide">{t("money.spent")}</th>
              <th class="number wide">{t("money.saved")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row key={row.id} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      <Failed error={failed} />
      {last.next && (
        <div class="row">
          <button type="button" onClick={more}>
            {t("older")}
          </button>
        </div>
      )}
    </section>
  );
}

function unique(rows: readonly RequestRow[]): RequestRow[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}

function Row({ row }: { row: RequestRow }) {
  const saved = ratio((row.tokens_before ?? 0) - (row.tokens_after ?? 0), row.tokens_before);
  return (
    <tr>
      <td class="name">
        <a href={link("requests", row.id)}>
          {isToday(row.at_ms) ? moment(row.at_ms / 1000, "time") : moment(row.at_ms / 1000)}
        </a>
      </td>
      <td>{row.model || <span class="quiet mono">{row.path}</span>}</td>
      <td class="wide">{row.team || <span class="quiet">{t("none")}</span>}</td>
      <td class="wide">{row.route || <span class="quiet">{t("none")}</span>}</td>
      <td class="wide">{row.policy}</td>
      <td>
        <Outcome row={row} />
        {row.has_text && <span class="tag accent after">{t("text.kept")}</span>}
      </td>
      <td class="number">
        {row.tokens_before === null ? (
          count(null)
        ) : (
          <>
            {count(row.tokens_before)} → {count(row.tokens_after)} <span class="quiet">{percent(saved && -saved)}</span>
          </>
        )}
      </td>
      <td class="number wide">{milliseconds(row.added_ms)}</td>
      <td class="number wide">{count(row.recovered)}</td>
      <td class="number wide">{money(row.nano_usd)}</td>
      <td class={`number wide ${(row.saved_nano_usd ?? 0) < 0 ? "bad" : ""}`}>{money(row.saved_nano_usd)}</td>
    </tr>
  );
}

function isToday(ms: number): boolean {
  return new Date(ms).toDateString() === new Date().toDateString();
}
