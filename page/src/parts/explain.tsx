/** Holds a pasted request against the routes and says what would happen to it. */
import { useState } from "preact/hooks";
import { explain } from "../api";
import type { Explained } from "../contract";
import { t } from "../language";
import { Failed } from "./said";
import { TrialShown } from "./trial";

const SAMPLE = `{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "…"}]}`;

export function ExplainForm() {
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const [found, show] = useState<Explained>();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const said = (name: string) => String(form.get(name) ?? "").trim();
    work(true);
    fail(undefined);
    explain({
      body: said("body"),
      path: said("path") || "/v1/chat/completions",
      headers: headers(said("headers")),
      team: said("team") || null,
      key: said("key") || null,
    })
      .then(show, fail)
      .finally(() => work(false));
  };
  return (
    <section class="sheet" aria-labelledby="explain">
      <h2 id="explain">{t("explain")}</h2>
      <p class="quiet small">{t("explain.about")}</p>
      <form class="send" onSubmit={submit}>
        <label class="field">
          {t("explain.body")}
          <textarea name="body" rows={6} required placeholder={SAMPLE} />
        </label>
        <div class="fields">
          <label class="field">
            {t("path")}
            <input name="path" placeholder="/v1/chat/completions" />
          </label>
          <label class="field">
            {t("by.team")}
            <input name="team" />
          </label>
          <label class="field">
            {t("explain.key")}
            <input name="key" autocomplete="off" />
          </label>
          <label class="field">
            {t("explain.headers")}
            <input name="headers" placeholder="x-unabridged: off" />
          </label>
        </div>
        <div class="row">
          <button type="submit" class="main" disabled={busy}>
            {t(busy ? "working" : "explain.go")}
          </button>
        </div>
      </form>
      <Failed error={failed} />
      {found && <Found found={found} />}
    </section>
  );
}

/** `name: value; name: value` */
function headers(text: string): Record<string, string> {
  const pairs = text.split(";").flatMap((each) => {
    const [name = "", ...rest] = each.split(":");
    return name.trim() && rest.length ? [[name.trim().toLowerCase(), rest.join(":").trim()] as const] : [];
  });
  return Object.fromEntries(pairs);
}

function Found({ found }: { found: Explained }) {
  return (
    <div class="stack" aria-live="polite" data-testid="explained">
      <p class="note">
        <strong>
          {t("explain.found", { route: found.route || t("none"), policy: found.policy, upstream: found.upstream })}
        </strong>
        <br />
        {found.why}
        {found.note && ` · ${found.note}`}
      </p>
      <table>
        <thead>
          <tr>
            <th>{t("by.route")}</th>
            <th>{t("explain.fits")}</th>
            <th>{t("reason")}</th>
          </tr>
        </thead>
        <tbody>
          {found.tries.map((each, index) => (
            <tr key={index}>
              <td class="name">
                {each.route}
                {each.chosen && <span class="tag good after">{t("explain.chosen")}</span>}
              </td>
              <td>{t(each.fits ? "yes" : "no")}</td>
              <td>{each.why}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <TrialShown result={found.trial} />
    </div>
  );
}
