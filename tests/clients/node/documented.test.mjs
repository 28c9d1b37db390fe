// The programs of docs/clients.md, as they stand there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SENTENCE, key, url } from "./ask.mjs";

const ADDRESS = "http://127.0.0.1:8790/v1";
const docs = readFileSync(process.env.UNABRIDGED_TEST_DOCS, "utf8");
const found = [...docs.matchAll(/## ([^\n]+)\n\n<!-- runs in: node -->\n```javascript\n(.*?)```/gs)];

test("there are documented programs", () => assert.ok(found.length >= 2));

for (const [, name, program] of found) {
  test(name, () => {
    assert.ok(program.includes(ADDRESS));
    const args = ["--input-type=module", "-e", program.replace(ADDRESS, url)];
    const said = execFileSync(process.execPath, args, {
      env: { ...process.env, OPENAI_API_KEY: key }, encoding: "utf8", timeout: 60000,
    });
    assert.ok(said.includes(SENTENCE), said);
  });
}
