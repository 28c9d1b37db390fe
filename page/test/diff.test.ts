import { expect, test } from "vitest";
import { offsets, spans } from "../src/codepoints";
import { runs } from "../src/parts/diff";

const text = "Sir John Fowler designed it.";

test("the runs are the text, whatever is known of it", () => {
  const found = runs(text, [[4, 15]], [{ start: 4, end: 8, score: 0.5 }], [{ start: 0, end: 15, id: "x" }]);
  expect(found.map((run) => run.text).join("")).toBe(text);
});

test("what lies in no kept span is cut", () => {
  const found = runs(text, [[4, 15]]);
  expect(found.map((run) => [run.text, run.kept])).toEqual([
    ["Sir ", false],
    ["John Fowler", true],
    [" designed it.", false],
  ]);
});

test("a source may begin in what was cut and end in what was kept", () => {
  const found = runs(text, [[4, 15]], [], [{ start: 0, end: 15, id: "x" }]);
  expect(found.filter((run) => run.source === "x").map((run) => run.text)).toEqual(["Sir ", "John Fowler"]);
});

test("the least needed words have the lightest shade, and words without a score none", () => {
  const found = runs("a b c", [], [{ start: 0, end: 1, score: 0.01 }, { start: 2, end: 3, score: 1 }]);
  expect(found.map((run) => [run.text, run.shade])).toEqual([["a", 1], [" ", 0], ["b", 5], [" c", 0]]);
});

test("characters outside of the first plane are one and not two", () => {
  const bridge = "🌉 Forth";
  expect(spans(bridge, [[0, 1], [2, 7]])).toEqual([[0, 2], [3, 8]]);
  expect(offsets(bridge)(7)).toBe(bridge.length);
});
