import { expect, test } from "vitest";
import { count, milliseconds, money, percent, ratio } from "../src/format";

test("small sums have enough digits to count", () => {
  expect(money(12_400_000_000)).toBe("$12.40");
  expect(money(2_130_000)).toBe("$0.00213");
  expect(money(41_200)).toBe("$0.0000412");
  expect(money(1)).toBe("$0.000000001");
});

test("what was lost is shown as lost", () => {
  expect(money(-41_200)).toBe("−$0.0000412");
});

test("nothing is nought and unknown is a dash", () => {
  expect(money(0)).toBe("$0.00");
  expect(money(null)).toBe("–");
  expect(count(0)).toBe("0");
  expect(count(null)).toBe("–");
  expect(percent(null)).toBe("–");
});

test("a share of nothing is unknown", () => {
  expect(ratio(3, 0)).toBeNull();
  expect(ratio(null, 10)).toBeNull();
  expect(ratio(5, 10)).toBe(0.5);
});

test("times are exact where they are short", () => {
  expect(milliseconds(0.42)).toBe("0.4 ms");
  expect(milliseconds(42.4)).toBe("42 ms");
  expect(milliseconds(12_345)).toBe("12.3 s");
});
