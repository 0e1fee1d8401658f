import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import type { LanguageModelV2, LanguageModelV3, LanguageModelV3Usage } from '@ai-sdk/provider';
import { generateText, streamText, wrapLanguageModel } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { costplusMiddleware } from '../../../src/client/ai-sdk.js';
import { withUsageContext } from '../../../src/client/usage-context.js';
import { ProviderServer, SAID } from '../../support/provider-server.js';
import { UsageCollector } from '../../support/usage-collector.js';

const ANTHROPIC_METERS = {
  input_tokens: 25,
  cache_read_tokens: 4096,
  cache_write_tokens: 1024,
  cache_write_1h_tokens: 1024,
  output_tokens: 15,
};
const prompt = 'What does the fox do?';

/** A model that answers with this usage and this metadata. */
function answering(provider: string, usage: LanguageModelV3Usage, providerMetadata: object = {}): LanguageModelV3 {
  return new MockLanguageModelV3({
    provider,
    modelId: 'anthropic/claude-sonnet-4.5',
    doGenerate: async () => ({
      content: [{ type: 'text', text: SAID }],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage,
      providerMetadata: providerMetadata as Record<string, Record<string, never>>,
      warnings: [],
    }),
  });
}

const USAGE: LanguageModelV3Usage = {
  inputTokens: { total: 1000, noCache: 100, cacheRead: 800, cacheWrite: 100 },
  outputTokens: { total: 50, text: 30, reasoning: 20 },
};

describe('the AI SDK middleware', () => {
  let provider: ProviderServer;
  let usage: UsageCollector;
  const wrapped = (model: LanguageModelV3): LanguageModelV3 =>
    wrapLanguageModel({ model, middleware: costplusMiddleware(usage.options) });
  const claude = () => createAnthropic({ apiKey: 'key', baseURL: `${provider.url}/v1` })('claude-sonnet-4-5');
  const gpt = () => createOpenAI({ apiKey: 'key', baseURL: `${provider.url}/v1` })('gpt-5');

  beforeEach(async () => {
    provider = await ProviderServer.start();
    usage = new UsageCollector();
  });
  afterEach(async () => {
    expect(JSON.stringify(usage.reported)).not.toContain('fox');
    await provider.stop();
  });

  it('reports generated text with the counts of the provider itself, down to the lifetime of cache writes', async () => {
    const { text } = await generateText({ model: wrapped(claude()), prompt });
    expect(text).toBe(SAID);
    expect(usage.only).toMatchObject({
      customer_id: 'acme',
      provider: 'anthropic',
      model_id: 'claude-sonnet-4-5-20250929',
      request_id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
      usage: ANTHROPIC_METERS,
    });
  });

  it('reports streamed text', async () => {
    const result = streamText({ model: wrapped(claude()), prompt });
    expect(await result.text).toBe(SAID);
    expect(usage.only).toMatchObject({ model_id: 'claude-sonnet-4-5-20250929', usage: ANTHROPIC_METERS });
  });

  it('reports OpenAI, streamed and not, from the context around the call', async () => {
    await withUsageContext({ action_id: 'run_42' }, async () => {
      await generateText({ model: wrapped(gpt()), prompt });
      await streamText({ model: wrapped(gpt()), prompt }).consumeStream();
    });
    const meters = { input_tokens: 200, cache_read_tokens: 128, output_tokens: 52 };
    expect(usage.events).toMatchObject([
      { provider: 'openai', model_id: 'gpt-5-2025-08-07', action_id: 'run_42', usage: meters },
      { provider: 'openai', model_id: 'gpt-5-2025-08-07', action_id: 'run_42', usage: meters },
    ]);
  });

  it('reads the parts of the input where a provider hands on no counts of its own', async () => {
    await generateText({ model: wrapped(answering('gateway', USAGE)), prompt });
    expect(usage.only).toMatchObject({
      provider: null,
      model_id: 'anthropic/claude-sonnet-4.5',
      usage: { input_tokens: 100, cache_read_tokens: 800, cache_write_tokens: 100, output_tokens: 50 },
    });
  });

  it.each([
    ['the cost of the AI Gateway', { gateway: { cost: '0.0045', marketCost: '0.0045' } }, '0.0045'],
    ['its market cost where free credits pay', { gateway: { cost: '0', marketCost: '0.0045' } }, '0.0045'],
    ['the cost of OpenRouter', { openrouter: { usage: { cost: 0.00014 } } }, '0.00014'],
    [
      'the cost of OpenRouter and of the key that the account brought',
      { openrouter: { usage: { cost: 0.0001, isByok: true, costDetails: { upstreamInferenceCost: 0.002 } } } },
      '0.0021',
    ],
  ])('reports %s', async (_name, metadata, amount) => {
    await generateText({ model: wrapped(answering('gateway', USAGE, metadata)), prompt });
    expect(usage.reported[0]?.reported_cost).toEqual({ amount, currency: 'usd' });
  });

  it.each([
    ['OpenRouter', { openrouter: { usage: { cost: 0, isByok: true } } }],
    [
      'the AI Gateway',
      { gateway: { routing: { attempts: [{ success: false }, { success: true, credentialType: 'byok' }] } } },
    ],
  ])(
    'says that the customer paid where %s used a key of its own, unless the context knows better',
    async (_name, metadata) => {
      const model = answering('gateway', USAGE, metadata);
      await generateText({ model: wrapped(model), prompt });
      await withUsageContext({ paid_by: 'us' }, () => generateText({ model: wrapped(model), prompt }));
      await generateText({ model: wrapped(answering('gateway', USAGE)), prompt });
      expect(usage.reported.map(({ paid_by }) => paid_by)).toEqual(['customer', 'us', undefined]);
    },
  );

  it('reads models of AI SDK 5 as their provider means it', async () => {
    const model: LanguageModelV2 = {
      specificationVersion: 'v2',
      supportedUrls: {},
      doStream: () => Promise.reject(new Error('not asked')),
      provider: 'anthropic.messages',
      modelId: 'claude-sonnet-4-5',
      doGenerate: async () => ({
        content: [{ type: 'text', text: SAID }],
        finishReason: 'stop',
        usage: { inputTokens: 25, outputTokens: 15, totalTokens: 40, cachedInputTokens: 4096 },
        providerMetadata: { anthropic: { cacheCreationInputTokens: 2048 } },
        warnings: [],
      }),
    };
    // The SDK still takes such models and brings their usage into the new form, which its types do not say.
    await generateText({ model: wrapped(model as unknown as LanguageModelV3), prompt });
    expect(usage.only.usage).toEqual({
      input_tokens: 25,
      cache_read_tokens: 4096,
      cache_write_tokens: 2048,
      output_tokens: 15,
    });
  });

  it('says so when a stream is aborted before its usage', async () => {
    provider.after = { events: 5, how: 'wait' };
    const abort = new AbortController();
    const result = streamText({ model: wrapped(claude()), prompt, abortSignal: abort.signal });
    await expect(async () => {
      for await (const _text of result.textStream) abort.abort();
    }).not.toThrow();
    await expect.poll(() => usage.gaps).toMatchObject([{ operation: 'doStream', reason: 'ended_early' }]);
    expect(usage.reported).toEqual([]);
  });

  it('passes errors on as they are and reports nothing', async () => {
    provider.failWith = 400;
    const refused = generateText({ model: wrapped(claude()), prompt, maxRetries: 0 });
    await expect(refused).rejects.toMatchObject({ statusCode: 400 });
    expect([usage.reported, usage.gaps]).toEqual([[], []]);
  });
});
