import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wrapGoogle } from '../../../src/client/wrap-google.js';
import { ProviderServer, SAID } from '../../support/provider-server.js';
import { UsageCollector } from '../../support/usage-collector.js';

const METERS = { input_tokens: 56, cache_read_tokens: 64, output_tokens: 38 };
const request = { model: 'gemini-flash-latest', contents: 'What does the fox do?' };

describe('a wrapped Google client', () => {
  let provider: ProviderServer;
  let usage: UsageCollector;
  let plain: GoogleGenAI;
  let google: GoogleGenAI;

  beforeEach(async () => {
    provider = await ProviderServer.start();
    usage = new UsageCollector();
    plain = new GoogleGenAI({ apiKey: 'key', httpOptions: { baseUrl: provider.url, retryOptions: { attempts: 1 } } });
    google = wrapGoogle(plain, usage.options);
  });
  afterEach(async () => {
    expect(JSON.stringify(usage.reported)).not.toContain('fox');
    await provider.stop();
  });

  it('reports a response with the model that answered', async () => {
    const response = await google.models.generateContent(request);
    expect(response.text).toBe(SAID);
    expect(usage.only).toMatchObject({
      customer_id: 'acme',
      model_id: 'gemini-2.5-flash',
      provider_hint: 'google',
      request_id: 'rGkZaZqNE4-fz7IP0dqK2Aw',
      usage: METERS,
    });
  });

  it('reports a stream by its last usage', async () => {
    let text = '';
    for await (const chunk of await google.models.generateContentStream(request)) text += chunk.text;
    expect(text).toBe(SAID);
    expect(usage.only.usage).toEqual(METERS);
  });

  it('reports chats, streamed and not', async () => {
    const chat = google.chats.create({ model: request.model });
    expect((await chat.sendMessage({ message: 'fox?' })).text).toBe(SAID);
    for await (const _chunk of await chat.sendMessageStream({ message: 'fox?' }));
    expect(chat.getHistory().length).toBeGreaterThanOrEqual(4);
    expect(usage.events.map((event) => event.usage)).toEqual([METERS, METERS]);
  });

  it('reports each request that automatic function calling makes', async () => {
    const call = { functionCall: { name: 'look', args: {} } };
    provider.next.push({
      candidates: [{ content: { role: 'model', parts: [call] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3, totalTokenCount: 10 },
      modelVersion: 'gemini-2.5-flash',
    });
    const look = {
      tool: async () => ({ functionDeclarations: [{ name: 'look' }] }),
      callTool: async () => [{ functionResponse: { name: 'look', response: {} } }],
    };
    const response = await google.models.generateContent({
      ...request,
      config: { tools: [look], toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.AUTO } } },
    });
    expect(response.text).toBe(SAID);
    expect(usage.events.map((event) => event.usage)).toEqual([{ input_tokens: 7, output_tokens: 3 }, METERS]);
  });

  it('reports what is known of a stream that its reader leaves', async () => {
    provider.after = { events: 2, how: 'wait' };
    for await (const _chunk of await google.models.generateContentStream(request)) break;
    expect(usage.only.usage).toEqual({ ...METERS, output_tokens: 31 });
    expect(usage.gaps).toMatchObject([{ reason: 'ended_early', reported: true }]);
  });

  it('reports what is known of a stream that breaks off, and passes the error on', async () => {
    provider.after = { events: 2, how: 'break' };
    const stream = await google.models.generateContentStream({
      ...request,
      config: { automaticContinuation: false },
    });
    await expect(async () => {
      for await (const _chunk of stream);
    }).rejects.toThrow();
    expect(usage.only.usage).toEqual({ ...METERS, output_tokens: 35 });
  });

  it('passes errors on as they are and reports nothing', async () => {
    provider.failWith = 400;
    const refused = await google.models.generateContent(request).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect([usage.reported, usage.gaps]).toEqual([[], []]);
  });

  it('reports once, by the new options, when it is wrapped again', async () => {
    const again = wrapGoogle(google, { ...usage.options, context: { customer_id: 'globex' } });
    await again.models.generateContent(request);
    expect(usage.only.customer_id).toBe('globex');
  });

  it('leaves the client that it was given as it was, and looks like it', async () => {
    await plain.models.generateContent(request);
    expect(usage.reported).toEqual([]);
    expect(google).toBeInstanceOf(GoogleGenAI);
    expect(google.files).toBe(plain.files);
    expect(google.vertexai).toBe(plain.vertexai);
  });
});
