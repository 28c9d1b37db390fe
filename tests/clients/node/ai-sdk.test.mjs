// The Vercel AI SDK, by its providers for OpenAI and for OpenAI-compatible servers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { Ask, SENTENCE, key, url } from "./ask.mjs";

const compatible = createOpenAICompatible({
  name: "unabridged", baseURL: url, apiKey: key, supportsStructuredOutputs: true,
});
const openai = createOpenAI({ baseURL: url, apiKey: key });
const MODELS = {
  compatible: () => compatible("gpt-4o-mini"),
  chat: () => openai.chat("gpt-4o-mini"),
  responses: () => openai("gpt-4o-mini"),
};
const Engineer = z.object({ name: z.string(), born: z.number().int() });

for (const [name, model] of Object.entries(MODELS)) {
  test(`${name}: plain`, async () => {
    const ask = new Ask();
    const got = await generateText({ model: model(), prompt: ask.text() });
    assert.equal(got.text, SENTENCE);
    if (name !== "responses") assert.ok(await ask.shortened());
  });

  test(`${name}: streamed`, async () => {
    let text = "";
    const got = streamText({ model: model(), prompt: new Ask().text() });
    for await (const piece of got.textStream) text += piece;
    assert.equal(text, SENTENCE);
    assert.equal(await got.finishReason, "stop");
  });

  test(`${name}: tools`, async () => {
    const called = [];
    const look_up = tool({
      inputSchema: z.object({ name: z.string() }),
      execute: async ({ name }) => (called.push(name), "an engineer"),
    });
    const got = await generateText({
      model: model(), prompt: new Ask().text(), tools: { look_up }, stopWhen: stepCountIs(3),
    });
    assert.deepEqual(called, ["Fowler"]);
    assert.equal(got.text, SENTENCE);
  });

  test(`${name}: structured output`, async () => {
    const got = await generateObject({ model: model(), prompt: new Ask().text(), schema: Engineer });
    assert.deepEqual(got.object, { name: "Fowler", born: 7 });
  });

  for (const status of [401, 402, 429, 500]) {
    test(`${name}: error ${status}`, async () => {
      const prompt = new Ask().text(`fail-${status}`);
      await assert.rejects(
        generateText({ model: model(), prompt, maxRetries: 0 }), { statusCode: status },
      );
    });
  }

  test(`${name}: retries`, async () => {
    const ask = new Ask();
    await generateText({ model: model(), prompt: ask.text("fail-500-once"), maxRetries: 1 });
    assert.equal((await ask.came()).length, 2);
  });

  test(`${name}: cancel`, async () => {
    const ask = new Ask();
    const leaving = new AbortController();
    const got = streamText({
      model: model(), prompt: ask.text("long"), abortSignal: leaving.signal, onError() {},
    });
    try {
      for await (const _ of got.textStream) leaving.abort();
    } catch {
      // Newer versions end the stream, older ones throw.
    }
    assert.ok(await ask.wasLeft());
  });
}
