/** What this browser remembers of somebody's choices: never a key and never a prompt. */

export function remembered<T extends string>(key: string, known: readonly T[]): T | undefined {
  try {
    const value = localStorage.getItem(key);
    return known.find((each) => each === value);
  } catch {
    return undefined; // storage is off in this browser
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // the choice lasts as long as the page
  }
}
