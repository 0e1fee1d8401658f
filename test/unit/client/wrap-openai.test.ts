import OpenAI, { APIError, AzureOpenAI } from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withUsageContext } from '../../../src/client/usage-context.js';
import { wrapOpenAI } from '../../../src/client/wrap-openai.js';
import { ProviderServer, SAID } from '../../support/provider-server.js';
import { UsageCollector } from '../../support/usage-collector.js';

const CHAT_METERS = { input_tokens: 93, cache_read_tokens: 1024, output_tokens: 46 };
const RESPONSES_METERS = { input_tokens: 200, cache_read_tokens: 128, output_tokens: 52 };
const messages = [{ role: 'user' as const, content: 'What does the fox do?' }];
const model = 'gpt-5';

describe('a wrapped OpenAI client', () => {
  let provider: ProviderServer;
  let usage: UsageCollector;
  let plain: OpenAI;
  let openai: OpenAI;

  beforeEach(async () => {
    provider = await ProviderServer.start();
    usage = new UsageCollector();
    plain = new OpenAI({ apiKey: 'key', baseURL: `${provider.url}/v1`, maxRetries: 0 });
    openai = wrapOpenAI(plain, usage.options);
  });
  afterEach(async () => {
    expect(JSON.stringify(usage.reported)).not.toContain('fox');
    await provider.stop();
  });

  describe('for whole responses', () => {
    it('reports chat completions with the model that answered', async () => {
      const completion = await openai.chat.completions.create({ model, messages });
      expect(completion.choices[0]?.message.content).toBe(SAID);
      expect(completion._request_id).toBe('req_openai_1');
      expect(usage.only).toMatchObject({
        customer_id: 'acme',
        feature: 'report',
        model_id: 'gpt-5-2025-08-07',
        provider_hint: 'openai',
        service_tier: 'default',
        request_id: 'req_openai_1',
        usage: CHAT_METERS,
      });
    });

    it('reports responses and keeps output_text', async () => {
      const response = await openai.responses.create({ model, input: 'What does the fox do?' });
      expect(response.output_text).toBe(SAID);
      expect(usage.only.usage).toEqual(RESPONSES_METERS);
    });

    it('reports embeddings and keeps them decoded', async () => {
      const embeddings = await openai.embeddings.create({ model: 'text-embedding-3-small', input: 'fox' });
      expect(embeddings.data[0]?.embedding).toEqual([1, 2]);
      expect(usage.only).toMatchObject({ model_id: 'text-embedding-3-small', usage: { input_tokens: 8 } });
    });

    it('reports what parse() asks for', async () => {
      const completion = await openai.chat.completions.parse({ model, messages });
      expect(completion.choices[0]?.message.parsed).toBeNull();
      expect(usage.only.usage).toEqual(CHAT_METERS);
    });

    it('reports once with withResponse()', async () => {
      const { data, response, request_id } = await openai.chat.completions.create({ model, messages }).withResponse();
      expect([data.object, response.status, request_id]).toEqual(['chat.completion', 200, 'req_openai_1']);
      expect(usage.only.usage).toEqual(CHAT_METERS);
      expect(usage.gaps).toEqual([]);
    });

    it('hands the raw response on unread, and says that its usage is not known', async () => {
      const response = await openai.chat.completions.create({ model, messages }).asResponse();
      expect(await response.json()).toMatchObject({ object: 'chat.completion' });
      expect(usage.reported).toEqual([]);
      expect(usage.gaps).toMatchObject([{ operation: 'chat.completions.create', reason: 'raw_response' }]);
    });

    it('reports the cost that OpenRouter states, digit by digit', async () => {
      provider.next.push({
        id: 'gen-1',
        model: 'anthropic/claude-sonnet-4.5',
        choices: [],
        usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, cost: 1.825e-7 },
      });
      await openai.chat.completions.create({ model: 'anthropic/claude-sonnet-4.5', messages });
      expect(usage.reported[0]).toMatchObject({
        model_id: 'anthropic/claude-sonnet-4.5',
        reported_cost: { amount: '0.0000001825', currency: 'usd' },
      });
    });

    it('says so when a response has no usage', async () => {
      provider.next.push({ id: 'resp_1', object: 'response', status: 'queued', model, output: [], usage: null });
      await openai.responses.create({ model, input: 'fox', background: true });
      expect(usage.gaps).toMatchObject([{ reason: 'no_usage', reported: false, model_id: model }]);
    });
  });

  describe('for streams', () => {
    it('asks for the usage of chat completions, and keeps the chunk that only came for it', async () => {
      const stream = await openai.chat.completions.create({ model, messages, stream: true });
      const wrapped = [];
      for await (const chunk of stream) wrapped.push(chunk);
      const unwrapped = [];
      for await (const chunk of await plain.chat.completions.create({ model, messages, stream: true })) {
        unwrapped.push(chunk);
      }
      expect(wrapped).toEqual(unwrapped);
      expect(provider.requests[0]?.body.stream_options).toEqual({ include_usage: true });
      expect(usage.only).toMatchObject({
        model_id: 'gpt-5-2025-08-07',
        usage: CHAT_METERS,
        request_id: 'req_openai_1',
      });
    });

    it('passes the usage chunk on to a caller who asked for it', async () => {
      const stream_options = { include_usage: true, include_obfuscation: false };
      const stream = await openai.chat.completions.create({ model, messages, stream: true, stream_options });
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks.at(-1)?.usage?.total_tokens).toBe(1163);
      expect(provider.requests[0]?.body.stream_options).toEqual(stream_options);
      expect(usage.only.usage).toEqual(CHAT_METERS);
    });

    it.each([
      ['the caller does not want the usage', { include_usage: false }, true],
      ['it may not ask', undefined, false],
    ])('leaves the request as it is when %s, and says that the usage is not known', async (_name, options, may) => {
      const quiet = wrapOpenAI(plain, { ...usage.options, askForStreamUsage: may });
      const stream_options = options === undefined ? {} : { stream_options: options };
      const stream = await quiet.chat.completions.create({ model, messages, stream: true, ...stream_options });
      for await (const _chunk of stream);
      expect(provider.requests[0]?.body.stream_options).toEqual(options);
      expect(usage.gaps).toMatchObject([{ reason: 'no_usage', reported: false }]);
    });

    it('reports the stream() helper, which goes on as without a wrapper', async () => {
      const deltas: string[] = [];
      const stream = openai.chat.completions
        .stream({ model, messages })
        .on('content', (delta) => void deltas.push(delta));
      expect(await stream.finalContent()).toBe(SAID);
      expect(deltas.join('')).toBe(SAID);
      expect(usage.only.usage).toEqual(CHAT_METERS);
    });

    it('reports streamed responses, raw and by the helper', async () => {
      for await (const _event of await openai.responses.create({ model, input: 'fox', stream: true }));
      const final = await openai.responses.stream({ model, input: 'fox' }).finalResponse();
      expect(final.output_text).toBe(SAID);
      expect(usage.events.map((event) => event.usage)).toEqual([RESPONSES_METERS, RESPONSES_METERS]);
    });

    it('reports once when a stream is split by tee()', async () => {
      const [left, right] = (await openai.chat.completions.create({ model, messages, stream: true })).tee();
      const count = async (stream: AsyncIterable<unknown>) => {
        let chunks = 0;
        for await (const _chunk of stream) chunks++;
        return chunks;
      };
      expect(await Promise.all([count(left), count(right)])).toEqual([4, 4]);
      expect(usage.only.usage).toEqual(CHAT_METERS);
    });

    it('reports a stream that is read as a ReadableStream', async () => {
      const stream = await openai.chat.completions.create({ model, messages, stream: true });
      const text = await new Response(stream.toReadableStream() as ReadableStream).text();
      expect(text).toContain('brown fox');
      expect(usage.only.usage).toEqual(CHAT_METERS);
    });

    it('ends the request when the reader leaves, and says that the usage is not known', async () => {
      provider.after = { events: 2, how: 'wait' };
      const stream = await openai.chat.completions.create({ model, messages, stream: true });
      for await (const _chunk of stream) break;
      expect(stream.controller.signal.aborted).toBe(true);
      expect(usage.gaps).toMatchObject([{ reason: 'ended_early', reported: false }]);
    });

    it('passes a broken connection on as an error', async () => {
      provider.after = { events: 2, how: 'break' };
      const stream = await openai.chat.completions.create({ model, messages, stream: true });
      await expect(async () => {
        for await (const _chunk of stream);
      }).rejects.toThrow();
      expect(usage.gaps).toMatchObject([{ reason: 'ended_early' }]);
    });
  });

  it('passes errors on as they are and reports nothing', async () => {
    provider.failWith = 400;
    const refused = await openai.chat.completions.create({ model, messages }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(APIError);
    expect([usage.reported, usage.gaps]).toEqual([[], []]);
  });

  it('goes on when the reporter fails', async () => {
    const failing = wrapOpenAI(plain, {
      ...usage.options,
      reporter: {
        report: () => {
          throw new Error('of the reporter');
        },
      },
    });
    expect((await failing.chat.completions.create({ model, messages })).object).toBe('chat.completion');
    expect(usage.gaps).toMatchObject([{ reason: 'failed', reported: false }]);
  });

  it('leaves the client that it was given as it was, and looks like it', async () => {
    await plain.chat.completions.create({ model, messages });
    expect(usage.reported).toEqual([]);
    expect(openai).toBeInstanceOf(OpenAI);
    expect(openai.baseURL).toBe(plain.baseURL);
    expect(openai.chat.completions).toBe(openai.chat.completions);
    expect(openai.chat.completions.create).toBe(openai.chat.completions.create);
    openai.apiKey = 'other';
    expect(plain.apiKey).toBe('other');
  });

  it('reports once, by the new options, when it is wrapped again', async () => {
    const again = wrapOpenAI(openai, { ...usage.options, context: { customer_id: 'globex' } });
    await again.chat.completions.create({ model, messages });
    expect(usage.only.customer_id).toBe('globex');
  });

  it('reports through clients that withOptions() makes', async () => {
    await openai.withOptions({ timeout: 5_000 }).chat.completions.create({ model, messages });
    expect(usage.only.usage).toEqual(CHAT_METERS);
  });

  it('wraps clients of other servers, under the provider that it is told', async () => {
    const azure = new AzureOpenAI({
      apiKey: 'key',
      apiVersion: '2025-04-01-preview',
      baseURL: `${provider.url}/openai`,
      maxRetries: 0,
    });
    const wrapped = wrapOpenAI(azure, { ...usage.options, context: { customer_id: 'acme', provider: 'azure' } });
    await wrapped.embeddings.create({ model: 'text-embedding-3-small', input: 'fox' });
    expect(usage.only).toMatchObject({ provider: 'azure', usage: { input_tokens: 8 } });
  });

  it('takes the context that is around the call, not the one around the end of the stream', async () => {
    const stream = await withUsageContext({ customer_id: 'globex', action_id: 'run_42' }, () =>
      openai.chat.completions.create({ model, messages, stream: true }),
    );
    await withUsageContext({ customer_id: 'initech' }, async () => {
      for await (const _chunk of stream);
    });
    expect(usage.only).toMatchObject({ customer_id: 'globex', action_id: 'run_42', feature: 'report' });
  });

  it('says so when nobody named a customer', async () => {
    const nobody = wrapOpenAI(plain, { ...usage.options, context: () => undefined });
    await nobody.chat.completions.create({ model, messages });
    expect(usage.gaps).toMatchObject([{ reason: 'no_customer', reported: false }]);
  });
});
