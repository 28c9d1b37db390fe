/** A playground's settings as a link. They stand behind the #, which browsers never send. */

export interface Setting {
  compressor: string;
  by: "rate" | "tokens";
  rate: number;
  tokens: number;
  question: string;
}

export interface Shared {
  model: string;
  settings: Setting[];
  /** Only if whoever shares says so. */
  text?: string;
}

export const FIRST: Setting = { compressor: "auto", by: "rate", rate: 0.5, tokens: 500, question: "" };

export function packed(shared: Shared): string {
  const bytes = new TextEncoder().encode(JSON.stringify(shared));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** What a link says; undefined if it is no such link. Whatever is odd in it is left out. */
export function unpacked(code: string): Shared | undefined {
  try {
    const binary = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const said: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!isObject(said) || !Array.isArray(said.settings)) return undefined;
    const settings = said.settings.filter(isObject).slice(0, 2).map(setting);
    return {
      model: typeof said.model === "string" ? said.model : "",
      settings: settings.length ? settings : [FIRST],
      ...(typeof said.text === "string" ? { text: said.text } : {}),
    };
  } catch {
    return undefined;
  }
}

function setting(said: Record<string, unknown>): Setting {
  const rate = Number(said.rate);
  const tokens = Math.round(Number(said.tokens));
  return {
    compressor: typeof said.compressor === "string" ? said.compressor : FIRST.compressor,
    by: said.by === "tokens" ? "tokens" : "rate",
    rate: rate > 0 && rate <= 1 ? rate : FIRST.rate,
    tokens: tokens >= 1 ? tokens : FIRST.tokens,
    question: typeof said.question === "string" ? said.question : "",
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
