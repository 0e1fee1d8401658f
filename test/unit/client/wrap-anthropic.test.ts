import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wrapAnthropic } from '../../../src/client/wrap-anthropic.js';
import { ProviderServer, SAID } from '../../support/provider-server.js';
import { UsageCollector } from '../../support/usage-collector.js';

const METERS = {
  input_tokens: 25,
  cache_read_tokens: 4096,
  cache_write_tokens: 1024,
  cache_write_1h_tokens: 1024,
  output_tokens: 15,
};
const request = {
  model: 'claude-sonnet',
  max_tokens: 64,
  messages: [{ role: 'user' as const, content: 'What does the fox do?' }],
};

describe('a wrapped Anthropic client', () => {
  let provider: ProviderServer;
  let usage: UsageCollector;
  let plain: Anthropic;
  let anthropic: Anthropic;

  beforeEach(async () => {
    provider = await ProviderServer.start();
    usage = new UsageCollector();
    plain = new Anthropic({ apiKey: 'key', baseURL: provider.url, maxRetries: 0 });
    anthropic = wrapAnthropic(plain, usage.options);
  });
  afterEach(async () => {
    expect(JSON.stringify(usage.reported)).not.toContain('fox');
    await provider.stop();
  });

  it('reports a message with the model that answered', async () => {
    const message = await anthropic.messages.create(request);
    expect(message.content).toEqual([{ type: 'text', text: SAID }]);
    expect(message._request_id).toBe('req_anthropic_1');
    expect(usage.only).toMatchObject({
      customer_id: 'acme',
      model_id: 'claude-sonnet-4-5-20250929',
      provider_hint: 'anthropic',
      service_tier: 'standard',
      request_id: 'req_anthropic_1',
      usage: METERS,
    });
  });

  it('reports the tokens of an advising model as an event of its own', async () => {
    const iterations = [
      { type: 'message', input_tokens: 10, output_tokens: 5 },
      { type: 'advisor_message', model: 'claude-opus-4-5', input_tokens: 100, output_tokens: 50 },
    ];
    const { model } = request;
    provider.next.push({
      id: 'msg_1',
      type: 'message',
      model,
      usage: { input_tokens: 10, output_tokens: 5, iterations },
    });
    await anthropic.messages.create(request);
    expect(usage.events.map(({ model_id, usage: meters }) => [model_id, meters])).toEqual([
      ['claude-sonnet', { input_tokens: 10, output_tokens: 5 }],
      ['claude-opus-4-5', { input_tokens: 100, output_tokens: 50 }],
    ]);
  });

  it('reports a stream by its last cumulative usage', async () => {
    const types: string[] = [];
    for await (const event of await anthropic.messages.create({ ...request, stream: true })) types.push(event.type);
    expect(types).toEqual([
      'message_start',
      ...['content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_stop'],
      ...['message_delta', 'message_delta', 'message_stop'],
    ]);
    expect(usage.only.usage).toEqual(METERS);
    expect(usage.gaps).toEqual([]);
  });

  it('reports the stream() helper once, with its listeners, promises and withResponse()', async () => {
    const texts: string[] = [];
    const stream = anthropic.messages.stream(request).on('text', (text) => void texts.push(text));
    const { response, request_id } = await stream.withResponse();
    expect([response.status, request_id]).toEqual([200, 'req_anthropic_1']);
    expect(await stream.finalText()).toBe(SAID);
    expect(texts.join('')).toBe(SAID);
    expect(usage.only).toMatchObject({ usage: METERS, request_id: 'req_anthropic_1' });
  });

  it('reports the beta messages too', async () => {
    await anthropic.beta.messages.create(request);
    expect(await anthropic.beta.messages.stream(request).finalMessage()).toMatchObject({ stop_reason: 'end_turn' });
    expect(usage.events.map((event) => event.usage)).toEqual([METERS, METERS]);
  });

  it.each([
    ['its reader leaves', 'break out', 5, 1],
    ['it breaks off', 'connection', 5, 1],
    ['it breaks off after a running usage', 'connection', 7, 9],
  ])('reports what is known of a stream when %s', async (_name, by, events, output) => {
    provider.after = { events, how: by === 'connection' ? 'break' : 'wait' };
    const stream = await anthropic.messages.create({ ...request, stream: true });
    const read = async () => {
      let seen = 0;
      for await (const _event of stream) if (by === 'break out' && ++seen === 3) break;
    };
    if (by === 'connection') await expect(read()).rejects.toThrow();
    else await read();
    expect(usage.only.usage).toEqual({ ...METERS, output_tokens: output });
    expect(usage.gaps).toMatchObject([{ reason: 'ended_early', reported: true }]);
  });

  it('reports what is known of a helper that is aborted', async () => {
    provider.after = { events: 4, how: 'wait' };
    const stream = anthropic.messages.stream(request);
    stream.on('text', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toThrow('aborted');
    expect(usage.only.usage).toEqual({ ...METERS, output_tokens: 1 });
  });

  it('passes errors on as they are and reports nothing', async () => {
    provider.failWith = 400;
    const refused = await anthropic.messages.create(request).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(APIError);
    expect(refused).toMatchObject({ status: 400, requestID: 'req_anthropic_1' });
    expect([usage.reported, usage.gaps]).toEqual([[], []]);
  });

  it('hands the raw response on unread, and says that its usage is not known', async () => {
    const response = await anthropic.messages.create(request).asResponse();
    expect(await response.json()).toMatchObject({ type: 'message' });
    expect(usage.gaps).toMatchObject([{ reason: 'raw_response', reported: false }]);
  });

  it('leaves the client that it was given as it was, and looks like it', async () => {
    await plain.messages.create(request);
    expect(usage.reported).toEqual([]);
    expect(anthropic).toBeInstanceOf(Anthropic);
    await anthropic.withOptions({ timeout: 5_000 }).messages.create(request);
    expect(usage.only.usage).toEqual(METERS);
  });
});
