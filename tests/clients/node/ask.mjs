// What a client's test knows: where the proxy is, what to ask, and what came to the upstream.
import { randomBytes } from "node:crypto";

const { UNABRIDGED_TEST_UPSTREAM } = process.env;
export const url = process.env.UNABRIDGED_TEST_URL;
export const key = process.env.UNABRIDGED_TEST_KEY;
export const poorKey = process.env.UNABRIDGED_TEST_POOR_KEY;
export const SENTENCE = "The Forth Bridge was designed by Fowler and Baker.";

const PARAGRAPHS = [
  "The Forth Bridge is a cantilever railway bridge across the Firth of Forth in Scotland.",
  "It was designed by the engineers John Fowler and Benjamin Baker.",
  "Mackerel prices rose for the third month in a row at the harbour of the town.",
  "The bakery opens at six and closes at noon on every day but Sunday.",
  "A choir of forty singers rehearses in the old customs house on Thursdays.",
  "Some visitors come for the lighthouse, which has been dark since the winter of 1947.",
];

export class Ask {
  constructor() {
    // A digit in a question would ask for the document of that number.
    this.mark = randomBytes(5).toString("hex").replace(/\d/g, (digit) => "ghijklmnop"[digit]);
  }

  text(what = "say") {
    const documents = PARAGRAPHS.map((p, n) => `Document [${n + 1}](Title: Notes ${n + 1}) ${p}`);
    const question = `Question: Who designed the Forth Bridge? (case ${what}/${this.mark})`;
    return documents.join("\n") + "\n\n" + question;
  }

  async seen() {
    return (await fetch(`${UNABRIDGED_TEST_UPSTREAM}/seen/${this.mark}`)).json();
  }

  async came() {
    return (await this.seen()).requests;
  }

  async shortened() {
    const body = JSON.stringify((await this.came()).at(-1).body);
    // Which of the others fills what is left of the budget depends on the mark.
    return body.includes(`(case say/${this.mark})`) && !PARAGRAPHS.every((p) => body.includes(p));
  }

  async wasLeft(seconds = 5) {
    for (let end = Date.now() + seconds * 1000; Date.now() < end; ) {
      if ((await this.seen()).left) return true;
      await new Promise((done) => setTimeout(done, 20));
    }
    return false;
  }
}
