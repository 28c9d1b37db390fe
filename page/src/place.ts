/** Which view is shown, and with what: all of it stands behind the # of the address, which is never
 * sent to a server. */
import { signal } from "@preact/signals";

export interface Place {
  view: string;
  id: string;
  asked: URLSearchParams;
}

export function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", ...rest] = path.split("/");
  return { view: view || "overview", id: decodeURIComponent(rest.join("/")), asked: new URLSearchParams(query) };
}

export const place = signal<Place>(parse(location.hash));
addEventListener("hashchange", () => (place.value = parse(location.hash)));

export function link(view: string, id = "", asked: Record<string, string | undefined> = {}): string {
  const set = Object.entries(asked).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const query = new URLSearchParams(set).toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${query ? `?${query}` : ""}`;
}

/** Changes what is asked for, without a new entry in the browser's history. */
export function ask(asked: Record<string, string | undefined>): void {
  const { view, id } = place.value;
  history.replaceState(null, "", link(view, id, asked));
  place.value = parse(location.hash);
}
