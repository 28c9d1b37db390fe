/** Data from the server that a view shows, fetched anew when asked or when something happened. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { heard } from "../live";

export interface Loaded<T> {
  data: T | undefined;
  /** Why the last fetch failed; the data before it are still shown. */
  error: Error | undefined;
  again: () => void;
}

export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  on: readonly unknown[],
  { live = false }: { live?: boolean } = {},
): Loaded<T> {
  const [state, set] = useState<{ data?: T; error?: Error }>({});
  const [turn, next] = useState(0);
  const tick = live ? heard.value : 0;
  const last = useRef<readonly unknown[]>(on);
  useEffect(() => {
    const abort = new AbortController();
    if (last.current.some((each, index) => each !== on[index])) set((old) => ({ data: old.data }));
    last.current = on;
    load(abort.signal).then(
      (data) => set({ data }),
      (error: unknown) => {
        if (!abort.signal.aborted) set((old) => ({ data: old.data, error: error as Error }));
      },
    );
    return () => abort.abort();
  }, [...on, turn, tick]);
  return { data: state.data, error: state.error, again: useCallback(() => next((n) => n + 1), []) };
}
