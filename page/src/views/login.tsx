/** Asks for the admin key, where one is needed. */
import { useState } from "preact/hooks";
import { login, session } from "../api";
import { t } from "../language";
import { Failed } from "../parts/said";

export function LoginView() {
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const closed = session.value?.access === "closed";
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget as HTMLFormElement).get("key") ?? "");
    work(true);
    login(key)
      .then(() => fail(undefined), fail)
      .finally(() => work(false));
  };
  return (
    <section class="sheet login">
      <h1>{t("login")}</h1>
      {session.value?.why && <p class={`note ${closed ? "warn" : ""}`}>{session.value.why}</p>}
      {!closed && (
        <form class="login-form" onSubmit={submit}>
          <p class="quiet">{t("login.about")}</p>
          <label class="field">
            {t("login.key")}
            <input name="key" type="password" autocomplete="current-password" required />
          </label>
          <Failed error={failed} />
          <button type="submit" class="main" disabled={busy}>
            {t("login.go")}
          </button>
        </form>
      )}
    </section>
  );
}
