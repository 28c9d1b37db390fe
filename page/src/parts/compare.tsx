/** Sends a trial to an upstream twice, raw and compressed, and puts the answers side by side. */
import { useState } from "preact/hooks";
import { sendBoth } from "../api";
import type { Comparison, Reply, Trial, UpstreamRow } from "../contract";
import { count, milliseconds, money } from "../format";
import { t } from "../language";
import { Answer } from "./answer";
import { Segmented, Select } from "./controls";
import { Failed } from "./said";
import { TrialShown } from "./trial";

export function Compare(given: {
  trials: readonly Trial[];
  upstreams: readonly UpstreamRow[];
  ready: boolean;
  model: string;
}) {
  const [which, choose] = useState<"0" | "1">("0");
  const [name, pick] = useState(given.upstreams[0]?.name ?? "");
  const [model, write] = useState("");
  const [most, limit] = useState(200);
  const [key, present] = useState("");
  const [busy, work] = useState(false);
  const [failed, fail] = useState<Error>();
  const [found, show] = useState<Comparison>();
  const upstream = given.upstreams.find((each) => each.name === name);
  const trial = given.trials[Number(which)] ?? given.trials[0];
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    if (!trial) return;
    work(true);
    fail(undefined);
    sendBoth({ ...trial, model: model.trim() || trial.model || null, upstream: name, key: key || null, max_tokens: most })
      .then(show, fail)
      .finally(() => work(false));
  };
  return (
    <section class="sheet" aria-labelledby="send">
      <h2 id="send">{t("send.title")}</h2>
      <p class="quiet small">{t("send.about")}</p>
      <form class="send" onSubmit={send}>
        <div class="fields">
          {given.trials.length > 1 && (
            <div class="field">
              <span>{t("send.with")}</span>
              <Segmented
                label={t("send.with")}
                value={which}
                choose={choose}
                choices={[
                  { value: "0", label: t("setting.a") },
                  { value: "1", label: t("setting.b") },
                ]}
              />
            </div>
          )}
          <Select
            label={t("upstream")}
            value={name}
            choices={given.upstreams.map((each) => ({ value: each.name, label: `${each.name} · ${each.url}` }))}
            choose={pick}
          />
          <label class="field">
            {t("by.model")}
            <input
              list="models"
              value={model}
              placeholder={given.model || upstream?.models[0] || t("send.model")}
              onInput={(event) => write(event.currentTarget.value)}
            />
            <datalist id="models">
              {upstream?.models.map((each) => <option key={each} value={each} />)}
            </datalist>
          </label>
          <label class="field">
            {t("send.most")}
            <input
              type="number"
              min={1}
              max={8000}
              value={most}
              onInput={(event) => limit(event.currentTarget.valueAsNumber || 1)}
            />
          </label>
          {upstream?.key === "caller's" && (
            <label class="field">
              {t("send.key")}
              <input
                type="password"
                autocomplete="off"
                value={key}
                onInput={(event) => present(event.currentTarget.value)}
              />
            </label>
          )}
        </div>
        <div class="row">
          <button type="submit" class="main" disabled={busy || !given.ready || !name}>
            {t(busy ? "send.busy" : "send.go")}
          </button>
        </div>
      </form>
      <Failed error={failed} />
      {found && (
        <>
          <div class="grid-2" aria-live="polite" data-testid="comparison">
            <Shown title={t("send.raw")} reply={found.raw} raw />
            <Shown title={t("send.compressed")} reply={found.compressed} />
          </div>
          <details open={found.compressed.edits.length > 0}>
            <summary>{t("send.how")}</summary>
            <div class="stack">
              <TrialShown result={found.trial} edits={found.compressed.edits} />
            </div>
          </details>
        </>
      )}
    </section>
  );
}

function Shown({ title, reply, raw = false }: { title: string; reply: Reply; raw?: boolean }) {
  return (
    <article class="stack">
      <h3>{title}</h3>
      {reply.ok ? (
        <Answer answer={{ came: reply.text, restored: reply.restored, edits: reply.edits }} raw={raw} />
      ) : (
        <Failed error={new Error(reply.error)} />
      )}
      <p class="small quiet">
        {t("send.numbers", {
          input: count(reply.input_tokens),
          output: count(reply.output_tokens),
          cost: money(reply.nano_usd),
          ms: milliseconds(reply.milliseconds),
        })}
      </p>
    </article>
  );
}
