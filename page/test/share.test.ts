import { expect, test } from "vitest";
import { FIRST, packed, unpacked } from "../src/share";

test("a link gives back the settings that it was made of, in any script", () => {
  const shared = { model: "gpt-4o", settings: [{ ...FIRST, question: "누가 설계했나요? 🌉" }], text: "문서" };
  expect(unpacked(packed(shared))).toEqual(shared);
});

test("a link can stand behind the # of an address as it is", () => {
  expect(packed({ model: "???>>>", settings: [FIRST] })).toMatch(/^[\w-]+$/);
});

test("what is no link is none", () => {
  expect(unpacked("")).toBeUndefined();
  expect(unpacked("%%%")).toBeUndefined();
  expect(unpacked(btoa("[]"))).toBeUndefined();
});

test("a rate or target that cannot be is replaced", () => {
  const odd = btoa(JSON.stringify({ model: 3, settings: [{ rate: 7, tokens: -1, compressor: {} }] }));
  expect(unpacked(odd)).toEqual({ model: "", settings: [FIRST] });
});
