/** The keys that callers present: made and shown once, rotated, revoked. */
import { useState } from "preact/hooks";
import { makeKey, revokeKey, rotateKey, session, type Key, type MadeKey } from "../api";
import { moment, when } from "../format";
import { t } from "../language";
import { Confirm, Dialog } from "./controls";
import { Empty, Failed } from "./said";

type Open = { what: "new" } | { what: "made"; made: MadeKey } | { what: "revoke" | "rotate"; key: Key };

const DAY = 86_400;

export function KeyList({ keys, changed }: { keys: readonly Key[]; changed: () => void }) {
  const [open, show] = useState<Open>();
  const close = () => show(undefined);
  const made = (made: MadeKey) => {
    show({ what: "made", made });
    changed();
  };
  const may = session.value?.may_make_keys !== false;
  return (
    <section class="sheet" aria-labelledby="key-list">
      <div class="row spread">
        <h2 id="key-list">{t("keys.keys")}</h2>
        <button type="button" class="main" disabled={!may} onClick={() => show({ what: "new" })}>
          {t("keys.new")}
        </button>
      </div>
      {!may && <p class="note">{session.value?.why}</p>}
      {keys.length === 0 ? (
        <Empty title={t("keys.none")}>
          <p>{t("keys.none.next")}</p>
        </Empty>
      ) : (
        <KeyTable keys={keys} show={show} />
      )}
      {open?.what === "new" && <NewKeyForm close={close} made={made} />}
      {open?.what === "made" && <Once made={open.made} close={close} />}
      {open?.what === "revoke" && (
        <Revoke
          subject={open.key}
          close={close}
          done={() => {
            close();
            changed();
          }}
        />
      )}
      {open?.what === "rotate" && <Rotate subject={open.key} close={close} made={made} />}
    </section>
  );
}

function KeyTable({ keys, show }: { keys: readonly Key[]; show: (open: Open) => void }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-labelledby="key-list">
      <table data-testid="keys">
        <thead>
          <tr>
            <th>{t("name")}</th>
            <th>{t("by.team")}</th>
            <th class="wide">{t("by.user")}</th>
            <th class="wide">{t("by.policy")}</th>
            <th class="wide">{t("models")}</th>
            <th class="wide">{t("created")}</th>
            <th>{t("state")}</th>
            <th>
              <span class="unseen">{t("actions")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id}>
              <td>
                {key.name}
                <div class="mono quiet">ub-{key.id}-…</div>
              </td>
              <td>{[key.org === "default" ? "" : key.org, key.team].filter(Boolean).join(" / ") || t("none")}</td>
              <td class="wide">{key.user ?? t("none")}</td>
              <td class="wide">{key.policy ?? t("keys.policy.placeholder")}</td>
              <td class="wide">{key.models.join(", ") || t("all")}</td>
              <td class="wide">{when(key.created_ms)}</td>
              <td>
                <State subject={key} />
              </td>
              <td>
                {isValid(key) && (
                  <div class="row actions">
                    <button
                      type="button"
                      aria-label={t("keys.rotate.named", { name: key.name })}
                      onClick={() => show({ what: "rotate", key })}
                    >
                      {t("keys.rotate")}
                    </button>
                    <button
                      type="button"
                      class="grave"
                      aria-label={t("keys.revoke.named", { name: key.name })}
                      onClick={() => show({ what: "revoke", key })}
                    >
                      {t("keys.revoke")}
                    </button>
                  </div>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function isValid(key: Key): boolean {
  return [key.expires_ms, key.revoked_ms].every((end) => end === null || Date.now() < end);
}

function State({ subject }: { subject: Key }) {
  const now = Date.now();
  const { revoked_ms: revoked, expires_ms: expires } = subject;
  if (revoked !== null && revoked <= now) return <span class="tag cut">{t("keys.revoked", { when: when(revoked) })}</span>;
  if (expires !== null && expires <= now) return <span class="tag">{t("keys.expired", { when: when(expires) })}</span>;
  const end = revoked ?? expires;
  return (
    <>
      <span class="tag good">{t("keys.valid")}</span>
      {end !== null && <div class="small quiet">{t("keys.until", { when: moment(end / 1000) })}</div>}
    </>
  );
}

function NewKeyForm({ close, made }: { close: () => void; made: (made: MadeKey) => void }) {
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const said = (name: string) => String(form.get(name) ?? "").trim() || undefined;
    const days = Number(said("days") ?? 0);
    work(true);
    makeKey({
      name: said("name") ?? "",
      org: said("org"),
      team: said("team"),
      user: said("user"),
      policy: said("policy"),
      models: said("models")?.split(",").map((each) => each.trim()).filter(Boolean),
      expires_seconds: days > 0 ? Math.round(days * DAY) : undefined,
    })
      .then(made, fail)
      .finally(() => work(false));
  };
  return (
    <Dialog title={t("keys.new")} close={close}>
      <form onSubmit={submit}>
        <label class="field">
          {t("name")}
          <input name="name" required maxLength={200} autocomplete="off" />
        </label>
        <div class="fields">
          <label class="field">
            {t("by.org")}
            <input name="org" placeholder="default" />
          </label>
          <label class="field">
            {t("by.team")}
            <input name="team" />
          </label>
          <label class="field">
            {t("by.user")}
            <input name="user" />
          </label>
          <label class="field">
            {t("by.policy")}
            <input name="policy" placeholder={t("keys.policy.placeholder")} />
          </label>
          <label class="field">
            {t("models")}
            <input name="models" placeholder="gpt-4o*, o3" />
          </label>
          <label class="field">
            {t("keys.days")}
            <input name="days" type="number" min="0" step="any" placeholder={t("keys.days.never")} />
          </label>
        </div>
        <Failed error={failed} />
        <div class="row">
          <button type="button" onClick={close}>
            {t("cancel")}
          </button>
          <button type="submit" class="main" disabled={busy}>
            {t("keys.create")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** A key is kept nowhere: this is the one time it can be read. */
function Once({ made, close }: { made: MadeKey; close: () => void }) {
  const [copied, say] = useState(false);
  return (
    <Dialog title={t("keys.made", { name: made.key.name })} close={close}>
      <p>{t("keys.once")}</p>
      <p class="secret" data-testid="secret">
        {made.secret}
      </p>
      <div class="row">
        <span class="small quiet" role="status">
          {copied && t("share.copied")}
        </span>
        {navigator.clipboard && (
          <button type="button" onClick={() => void navigator.clipboard.writeText(made.secret).then(() => say(true))}>
            {t("copy")}
          </button>
        )}
        <button type="button" class="main" onClick={close}>
          {t("keys.saved")}
        </button>
      </div>
    </Dialog>
  );
}

function Revoke({ subject, close, done }: { subject: Key; close: () => void; done: () => void }) {
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const confirm = () => {
    work(true);
    revokeKey(subject)
      .then(done, fail)
      .finally(() => work(false));
  };
  return (
    <Confirm
      title={t("keys.revoke.title", { name: subject.name })}
      action={t("keys.revoke")}
      grave
      busy={busy}
      close={close}
      confirm={confirm}
    >
      <p>{t("keys.revoke.about")}</p>
      <Failed error={failed} />
    </Confirm>
  );
}

function Rotate({ subject, close, made }: { subject: Key; close: () => void; made: (made: MadeKey) => void }) {
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const [hours, wait] = useState(24);
  const confirm = () => {
    work(true);
    rotateKey(subject, Math.round(hours * 3600))
      .then(made, fail)
      .finally(() => work(false));
  };
  return (
    <Confirm
      title={t("keys.rotate.title", { name: subject.name })}
      action={t("keys.rotate")}
      busy={busy}
      close={close}
      confirm={confirm}
    >
      <p>{t("keys.rotate.about")}</p>
      <label class="field">
        {t("keys.rotate.hours")}
        <input
          type="number"
          min={0}
          step="any"
          value={hours}
          onInput={(event) => wait(Math.max(0, event.currentTarget.valueAsNumber || 0))}
        />
      </label>
      <Failed error={failed} />
    </Confirm>
  );
}
