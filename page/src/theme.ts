/** Light or dark: as the system says, until somebody chooses. */
import { effect, signal } from "@preact/signals";
import { remembered, remember } from "./memory";

export type Theme = "system" | "light" | "dark";

const KEY = "unabridged.theme";
const THEMES: readonly Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>(remembered(KEY, THEMES) ?? "system");
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);
system.addEventListener("change", (event) => (systemIsDark.value = event.matches));

export function isDark(): boolean {
  return theme.value === "dark" || (theme.value === "system" && systemIsDark.value);
}

export function choose(next: Theme): void {
  theme.value = next;
  remember(KEY, next);
}

effect(() => {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
});
