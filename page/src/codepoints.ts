/** The server counts characters, this language counts halves of some: spans from there to here. */
import type { Span } from "./parts/diff";

/** Gives, for an offset in characters, the offset in the string. */
export function offsets(text: string): (characters: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (characters) => characters;
  const at: number[] = [];
  let units = 0;
  for (const character of text) {
    at.push(units);
    units += character.length;
  }
  at.push(units);
  return (characters) => at[Math.min(characters, at.length - 1)] ?? units;
}

export function spans(text: string, found: readonly (readonly [number, number])[]): Span[] {
  const here = offsets(text);
  return found.map(([start, end]) => [here(start), here(end)] as const);
}
