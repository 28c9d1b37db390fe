/** Compresses what is pasted, in one way or in two, and shows what each costs in words. */
import { useState } from "preact/hooks";
import { getPolicies, tryOut } from "../api";
import type { Trial, TrialResult } from "../contract";
import { t } from "../language";
import { Compare } from "../parts/compare";
import { useLoaded } from "../parts/loaded";
import { Empty, Failed } from "../parts/said";
import { Settings } from "../parts/settings";
import { TrialShown } from "../parts/trial";
import { link, place } from "../place";
import { FIRST, packed, unpacked, type Setting } from "../share";

const SAMPLE_FILES = ".txt,.md,.json,.csv,.log,text/*,application/json";

interface Outcome {
  result?: TrialResult;
  error?: Error;
}

export function PlaygroundView() {
  const shared = useState(() => unpacked(place.value.asked.get("s") ?? ""))[0];
  const [text, write] = useState(shared?.text ?? "");
  const [model, name] = useState(shared?.model ?? "");
  const [settings, set] = useState<Setting[]>(shared?.settings ?? [FIRST]);
  const [tried, show] = useState<Outcome[]>([]);
  const [busy, work] = useState(false);
  const policies = useLoaded((signal) => getPolicies(signal), []);
  const compressors = policies.data?.compressors ?? [FIRST.compressor];
  const trials = settings.map((setting) => trial(setting, text, model));

  const run = (event: SubmitEvent) => {
    event.preventDefault();
    work(true);
    void Promise.all(
      trials.map((each) =>
        tryOut(each).then(
          (result): Outcome => ({ result }),
          (error: Error): Outcome => ({ error }),
        ),
      ),
    )
      .then(show)
      .finally(() => work(false));
  };
  return (
    <>
      <div class="head">
        <div>
          <h1>{t("playground")}</h1>
          <p>{t("playground.about")}</p>
        </div>
        <Share shared={{ model, settings }} text={text} />
      </div>
      <Failed error={policies.error} again={policies.again} />
      <form class="sheet" onSubmit={run}>
        <Prompt text={text} write={write} />
        <div class={settings.length > 1 ? "grid-2" : ""}>
          {settings.map((setting, index) => (
            <Settings
              key={index}
              name={settings.length > 1 ? t(index === 0 ? "setting.a" : "setting.b") : t("settings")}
              setting={setting}
              compressors={compressors}
              change={(changed) => set(settings.map((each, at) => (at === index ? changed : each)))}
            />
          ))}
        </div>
        <div class="row spread">
          <div class="row">
            <label class="check">
              <input
                type="checkbox"
                checked={settings.length > 1}
                onChange={(event) => {
                  const first = settings[0] ?? FIRST;
                  set(event.currentTarget.checked ? [first, { ...first, compressor: other(first, compressors) }] : [first]);
                  show([]);
                }}
              />
              {t("settings.two")}
            </label>
            <label class="check">
              <span>{t("model.priced")}</span>
              <input
                class="inline"
                value={model}
                placeholder={t("model.placeholder")}
                onInput={(event) => name(event.currentTarget.value)}
              />
            </label>
          </div>
          <button type="submit" class="main" disabled={busy || !text.trim()}>
            {t(busy ? "working" : "compress")}
          </button>
        </div>
      </form>
      {tried.length === 0 ? (
        <section class="sheet">
          <Empty title={t("playground.empty")}>
            <p>{t("playground.empty.next")}</p>
          </Empty>
        </section>
      ) : (
        <div class={tried.length > 1 ? "grid-2" : ""} aria-live="polite">
          {tried.map((outcome, index) => (
            <section class="sheet" key={index} data-testid={`trial-${index}`}>
              {tried.length > 1 && <h2>{t(index === 0 ? "setting.a" : "setting.b")}</h2>}
              <Failed error={outcome.error} />
              {outcome.result && <TrialShown result={outcome.result} />}
            </section>
          ))}
        </div>
      )}
      {policies.data && (
        <Compare trials={trials} upstreams={policies.data.upstreams} ready={Boolean(text.trim())} model={model} />
      )}
    </>
  );
}

function trial(setting: Setting, text: string, model: string): Trial {
  return {
    text,
    compressor: setting.compressor,
    ...(setting.by === "rate" ? { rate: setting.rate } : { tokens: setting.tokens }),
    question: setting.question.trim() || null,
    model: model.trim() || null,
  };
}

function other(setting: Setting, compressors: readonly string[]): string {
  return compressors.find((each) => each !== setting.compressor && each !== "off") ?? setting.compressor;
}

function Prompt({ text, write }: { text: string; write: (text: string) => void }) {
  const upload = async (file: File | undefined) => {
    if (file) write(await file.text());
  };
  return (
    <>
      <label class="field">
        {t("playground.text")}
        <textarea
          rows={9}
          value={text}
          placeholder={t("playground.placeholder")}
          onInput={(event) => write(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        {t("upload")}
        <input
          type="file"
          accept={SAMPLE_FILES}
          onChange={(event) => void upload(event.currentTarget.files?.[0])}
        />
      </label>
    </>
  );
}

function Share({ shared, text }: { shared: { model: string; settings: Setting[] }; text: string }) {
  const [whole, choose] = useState(false);
  const [copied, say] = useState<"" | "copied" | "shown">("");
  const address = () => {
    const hash = link("playground", "", { s: packed(whole ? { ...shared, text } : shared) });
    history.replaceState(null, "", hash);
    return location.href;
  };
  const copy = () => {
    const href = address();
    // Browsers give no clipboard to pages without TLS but those of the same machine.
    if (!navigator.clipboard) return say("shown");
    navigator.clipboard.writeText(href).then(
      () => say("copied"),
      () => say("shown"),
    );
  };
  return (
    <div class="row">
      <label class="check small">
        <input type="checkbox" checked={whole} onChange={(event) => choose(event.currentTarget.checked)} />
        {t("share.text")}
      </label>
      <button type="button" onClick={copy}>
        {t("share")}
      </button>
      <span class="small quiet" role="status">
        {copied && t(copied === "copied" ? "share.copied" : "share.shown")}
      </span>
    </div>
  );
}
