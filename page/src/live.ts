/** Tells the views that something happened, so that they fetch anew without a reload. */
import { signal } from "@preact/signals";
import { getSession } from "./api";

/** Rises when there is something new to fetch. */
export const heard = signal(0);
export const connected = signal(false);

const SECONDS_UNTIL_NEXT_TRY = 5;
let source: EventSource | undefined;

export function listen(): void {
  if (source) return;
  const opened = new EventSource("/ui/api/events");
  source = opened;
  opened.onopen = () => {
    // What happened while nobody listened is fetched too.
    if (!connected.value) heard.value += 1;
    connected.value = true;
  };
  opened.addEventListener("requests", () => {
    if (!document.hidden) heard.value += 1;
  });
  opened.onerror = () => {
    connected.value = false;
    // A browser tries again by itself unless the answer was no stream at all.
    if (opened.readyState !== EventSource.CLOSED) return;
    source = undefined;
    void getSession()
      .then(({ access }) => access === "open" || access === "signed_in")
      .catch(() => true)
      .then((may) => {
        if (may) setTimeout(listen, SECONDS_UNTIL_NEXT_TRY * 1000);
      });
  };
}

export function hush(): void {
  source?.close();
  source = undefined;
  connected.value = false;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && source) heard.value += 1;
});
