/** Tries a changed policy on the last requests; nothing is sent or changed. */
import { useState } from "preact/hooks";
import { dryRun } from "../api";
import type { DryRun, PolicyRow } from "../contract";
import { count, moment, money, percent, ratio } from "../format";
import { t } from "../language";
import { link } from "../place";
import { Select } from "./controls";
import { Empty, Failed } from "./said";
import { Tally } from "./tally";

export function DryRunForm({ policies }: { policies: readonly PolicyRow[] }) {
  const first = [...policies].sort((a, b) => b.routes.length - a.routes.length)[0];
  const [name, pick] = useState("");
  const [yaml, write] = useState(first?.yaml ?? "");
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const [found, show] = useState<DryRun>();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    work(true);
    fail(undefined);
    dryRun({ policy: yaml, instead_of: name || null, count: 100 })
      .then(show, fail)
      .finally(() => work(false));
  };
  return (
    <section class="sheet" aria-labelledby="dryrun">
      <h2 id="dryrun">{t("dryrun")}</h2>
      <p class="quiet small">{t("dryrun.about")}</p>
      <form class="send" onSubmit={submit}>
        <div class="fields">
          <Select
            label={t("dryrun.of")}
            value={name}
            choices={[
              { value: "", label: t("dryrun.all") },
              ...policies.map((each) => ({ value: each.name, label: each.name })),
            ]}
            choose={(value) => {
              pick(value);
              const chosen = policies.find((each) => each.name === value);
              if (chosen) write(chosen.yaml);
            }}
          />
        </div>
        <label class="field">
          {t("dryrun.policy")}
          <textarea
            rows={7}
            value={yaml}
            spellcheck={false}
            required
            placeholder={"compressor: extractive\nrate: 0.4"}
            onInput={(event) => write(event.currentTarget.value)}
          />
        </label>
        <div class="row">
          <button type="submit" class="main" disabled={busy}>
            {t(busy ? "working" : "dryrun.go")}
          </button>
        </div>
      </form>
      <Failed error={failed} />
      {found && <Found found={found} />}
    </section>
  );
}

function Found({ found }: { found: DryRun }) {
  const { totals } = found;
  const share = (after: number) => percent(ratio(totals.tokens_before - after, totals.tokens_before), 1);
  return (
    <div class="stack" aria-live="polite" data-testid="dryrun">
      {totals.requests === 0 ? (
        <Empty title={t("dryrun.none")}>
          <p>{t("empty.requests.next")}</p>
        </Empty>
      ) : (
        <>
          <dl class="facts">
            <dt>{t("requests")}</dt>
            <dd>{t("dryrun.requests", { n: count(totals.requests), c: count(totals.compressed) })}</dd>
            <dt>{t("tokens.before")}</dt>
            <dd>{count(totals.tokens_before)}</dd>
            <dt>{t("dryrun.then")}</dt>
            <dd>
              {t("dryrun.sum", {
                tokens: count(totals.tokens_then),
                share: share(totals.tokens_then),
                saved: money(totals.saved_nano_usd_then),
              })}
            </dd>
            <dt>{t("dryrun.now")}</dt>
            <dd>
              <strong>
                {t("dryrun.sum", {
                  tokens: count(totals.tokens_now),
                  share: share(totals.tokens_now),
                  saved: money(totals.saved_nano_usd_now),
                })}
              </strong>
            </dd>
          </dl>
          <details>
            <summary>{t("dryrun.rows")}</summary>
            <Rows found={found} />
          </details>
        </>
      )}
      {found.skipped.length > 0 && (
        <div>
          <h3>{t("dryrun.skipped")}</h3>
          <Tally rows={found.skipped} name={(what) => what} />
        </div>
      )}
    </div>
  );
}

function Rows({ found }: { found: DryRun }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("dryrun.rows")}>
      <table>
        <thead>
          <tr>
            <th>{t("time")}</th>
            <th class="number">{t("tokens.before")}</th>
            <th class="number">{t("dryrun.then")}</th>
            <th class="number">{t("dryrun.now")}</th>
            <th class="number">{t("money.saved")}</th>
            <th>{t("reason")}</th>
          </tr>
        </thead>
        <tbody>
          {found.rows.map((row) => (
            <tr key={row.id}>
              <td class="name">
                <a href={link("requests", row.id)}>{moment(row.at_ms / 1000)}</a>
              </td>
              <td class="number">{count(row.tokens_before)}</td>
              <td class="number">{count(row.tokens_then)}</td>
              <td class="number">{count(row.tokens_now)}</td>
              <td class="number">
                {money(row.saved_nano_usd_then)} → {money(row.saved_nano_usd_now)}
              </td>
              <td>
                <span class="tag">{t(row.how === "compressed" ? "dryrun.compressed" : "dryrun.reckoned")}</span> {row.note}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
