/** The frame around the views: who may look, where one is, and how it is shown. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { FunctionComponent } from "preact";
import { getSession, logout, session } from "./api";
import { language, speak, t, type Word } from "./language";
import { connected, hush, listen } from "./live";
import { Failed, Waiting } from "./parts/said";
import { link, place } from "./place";
import icon from "./icon.svg";
import { choose, isDark } from "./theme";
import { KeysView } from "./views/keys";
import { LoginView } from "./views/login";
import { OverviewView } from "./views/overview";
import { PlaygroundView } from "./views/playground";
import { PoliciesView } from "./views/policies";
import { RequestView } from "./views/request";
import { RequestsView } from "./views/requests";

const VIEWS: readonly [name: string, word: Word, view: FunctionComponent][] = [
  ["overview", "overview", OverviewView],
  ["requests", "requests", RequestsView],
  ["playground", "playground", PlaygroundView],
  ["policies", "policies", PoliciesView],
  ["keys", "keys", KeysView],
];

export function App() {
  const [failed, fail] = useState<Error>();
  const access = session.value?.access;
  const may = access === "open" || access === "signed_in";
  const begin = () => void getSession().then(() => fail(undefined), fail);
  useEffect(begin, []);
  useEffect(() => {
    if (!may) return;
    listen();
    return hush;
  }, [may]);
  return (
    <>
      <a class="skip" href="#content" onClick={toContent}>
        {t("skip")}
      </a>
      <Top may={may} />
      {may ? <Content /> : <main id="content" tabIndex={-1}>{waiting(failed, begin)}</main>}
    </>
  );
}

function waiting(failed: Error | undefined, begin: () => void) {
  if (session.value) return <LoginView />;
  return failed ? <Failed error={failed} again={begin} /> : <Waiting />;
}

function toContent(event: Event): void {
  // The part behind the # names the view, so the browser's own jump would leave it.
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function Content() {
  const { view, id } = place.value;
  const main = useRef<HTMLElement>(null);
  const [, word, View] = VIEWS.find(([name]) => name === view) ?? VIEWS[0]!;
  const Shown = view === "requests" && id ? RequestView : View;
  const first = useRef(true);
  useEffect(() => {
    document.title = `${t(word)} · unabridged`;
  }, [word, language.value]);
  useEffect(() => {
    // A new view is read from its start, by eye and by screen reader.
    if (!first.current) {
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [view, id]);
  return (
    <main id="content" tabIndex={-1} ref={main}>
      <Shown key={`${view}/${id}`} />
    </main>
  );
}

function Top({ may }: { may: boolean }) {
  return (
    <header class="top">
      <div>
        <a class="brand" href={link("overview")}>
          <img src={icon} alt="" />
          <span>unabridged</span>
        </a>
        {may && (
          <nav class="tabs" aria-label={t("views")}>
            {VIEWS.map(([name, word]) => (
              <a key={name} href={link(name)} aria-current={place.value.view === name ? "page" : undefined}>
                {t(word)}
              </a>
            ))}
          </nav>
        )}
        <div class="tools">
          {may && (
            <span class={`live ${connected.value ? "on" : ""}`} role="status">
              <span>{t(connected.value ? "live" : "live.not")}</span>
            </span>
          )}
          <button
            type="button"
            class="bare"
            lang={language.value === "en" ? "ko" : "en"}
            onClick={() => speak(language.value === "en" ? "ko" : "en")}
          >
            {language.value === "en" ? "한국어" : "English"}
          </button>
          <button
            type="button"
            class="bare"
            aria-label={t(isDark() ? "theme.light" : "theme.dark")}
            title={t(isDark() ? "theme.light" : "theme.dark")}
            onClick={() => choose(isDark() ? "light" : "dark")}
          >
            {isDark() ? "☀" : "☾"}
          </button>
          {session.value?.access === "signed_in" && (
            <button type="button" class="bare" onClick={() => void logout()}>
              {t("logout")}
            </button>
          )}
        </div>
      </div>
    </header>
  );
}
