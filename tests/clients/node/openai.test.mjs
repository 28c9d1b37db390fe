// The official library for Node.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { Ask, SENTENCE, key, poorKey, url } from "./ask.mjs";

const Engineer = z.object({ name: z.string(), born: z.number().int() });
const tools = [{
  type: "function",
  function: { name: "look_up", parameters: {
    type: "object", properties: { name: { type: "string" } }, required: ["name"],
  } },
}];

const client = (given = {}) => new OpenAI({ baseURL: url, apiKey: key, ...given });
const said = (ask, what) => ({
  model: "gpt-4o-mini",
  messages: [{ role: "user", content: ask.text(what) }],
});

test("plain", async () => {
  const ask = new Ask();
  const got = await client().chat.completions.create(said(ask));
  assert.equal(got.choices[0].message.content, SENTENCE);
  assert.equal(got._request_id, "req_of_the_upstream");
  assert.deepEqual(got.a_field_of_tomorrow, { kept: 1 });
  assert.ok(await ask.shortened());
});

test("streamed", async () => {
  const ask = new Ask();
  let text = "";
  const stream = await client().chat.completions.create({ ...said(ask), stream: true });
  for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
  assert.equal(text, SENTENCE);
  assert.ok(await ask.shortened());
});

test("tools, plain and streamed", async () => {
  const ask = new Ask();
  const got = await client().chat.completions.create({ ...said(ask), tools });
  const call = got.choices[0].message.tool_calls[0].function;
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ["look_up", { name: "Fowler" }]);
  const stream = client().chat.completions.stream({ ...said(ask), tools });
  const last = await stream.finalChatCompletion();
  assert.equal(last.choices[0].message.tool_calls[0].function.arguments, call.arguments);
});

test("structured output", async () => {
  const got = await client().chat.completions.parse({
    ...said(new Ask()), response_format: zodResponseFormat(Engineer, "engineer"),
  });
  assert.deepEqual(got.choices[0].message.parsed, { name: "Fowler", born: 7 });
});

test("responses, plain and streamed", async () => {
  const input = new Ask().text();
  const got = await client().responses.create({ model: "gpt-4o-mini", input });
  assert.equal(got.output_text, SENTENCE);
  let text = "";
  for await (const event of client().responses.stream({ model: "gpt-4o-mini", input })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, SENTENCE);
});

for (const [status, kind] of [
  [401, OpenAI.AuthenticationError], [402, OpenAI.APIError],
  [429, OpenAI.RateLimitError], [500, OpenAI.InternalServerError],
]) {
  test(`error ${status}`, async () => {
    const ask = new Ask();
    await assert.rejects(
      client({ maxRetries: 0 }).chat.completions.create(said(ask, `fail-${status}`)),
      (error) => error instanceof kind && error.status === status,
    );
  });
}

test("a spent budget is not tried again", async () => {
  const ask = new Ask();
  const ours = client({ apiKey: poorKey });
  await assert.rejects(async () => {
    await ours.chat.completions.create(said(ask));
    await ours.chat.completions.create(said(ask));
  }, { status: 402, code: "budget_exceeded" });
  assert.ok((await ask.came()).length <= 1);
});

test("retries", async () => {
  const ask = new Ask();
  await client().chat.completions.create(said(ask, "fail-500-once"));
  assert.equal((await ask.came()).length, 2);
});

test("a stream that breaks off is an error", async () => {
  const stream = await client().chat.completions.create({
    ...said(new Ask(), "break"), stream: true,
  });
  await assert.rejects(async () => { for await (const _ of stream); });
});

test("cancel", async () => {
  const ask = new Ask();
  const stream = await client().chat.completions.create({ ...said(ask, "long"), stream: true });
  for await (const _ of stream) break;
  assert.ok(await ask.wasLeft());
});
