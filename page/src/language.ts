/** English or Korean: as the browser says, until somebody chooses. */
import { effect, signal } from "@preact/signals";
import { en } from "./words/en";
import { ko } from "./words/ko";
import { remember, remembered } from "./memory";

export type Language = "en" | "ko";
export type Word = keyof typeof en;

const KEY = "unabridged.language";
const LANGUAGES: readonly Language[] = ["en", "ko"];
const WORDS: Record<Language, Record<Word, string>> = { en, ko };

export const language = signal<Language>(
  remembered(KEY, LANGUAGES) ?? (navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en"),
);

/** A sentence in the language in force, its {names} replaced by what is given. */
export function t(word: Word, given: Record<string, string | number> = {}): string {
  return WORDS[language.value][word].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in given ? String(given[name]) : whole,
  );
}

/** A name that the server gives, such as a kind of segment, in words; as it is if nobody knows. */
export function named(group: string, name: string): string {
  const word = `${group}.${name}`;
  return word in en ? t(word as Word) : name.replaceAll("_", " ");
}

/** A name in the middle of a sentence. */
export function inner(group: string, name: string): string {
  return named(group, name).toLocaleLowerCase(language.value);
}

export function speak(next: Language): void {
  language.value = next;
  remember(KEY, next);
}

effect(() => {
  document.documentElement.lang = language.value;
});
