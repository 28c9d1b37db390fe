import { expect, test } from "vitest";
import { en } from "../src/words/en";
import { ko } from "../src/words/ko";

const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
const files: Record<string, string> = import.meta.glob(["../src/**/*.{ts,tsx}", "!../src/words/*"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const source = Object.values(files).join("\n");

test("both languages have the same words", () => {
  expect(Object.keys(ko).sort()).toEqual(Object.keys(en).sort());
});

test("a sentence takes the same numbers and names in both languages", () => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect(names(ko[key]), key).toEqual(names(en[key]));
  }
});

test("every Korean sentence is Korean, but for what is only numbers", () => {
  const foreign = Object.entries(ko).filter(([, text]) => !/[가-힣]/.test(text));
  expect(foreign.map(([key]) => key)).toEqual(["of"]);
});

test("no word is left that nobody says", () => {
  const groups = [...source.matchAll(/(?:named|inner)\("([a-z.]+)"/g)].map(([, group]) => `${group}.`);
  const unsaid = Object.keys(en).filter(
    (key) => !source.includes(`"${key}"`) && !groups.some((group) => key.startsWith(group)),
  );
  expect(unsaid).toEqual([]);
});
