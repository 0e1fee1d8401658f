import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UsageFormat } from '../../../src/contracts/usage-event.js';
import { detectFormat, fromResponse, normaliseUsage } from '../../../src/usage/normalise.js';

const count = fc.nat({ max: 1_000_000 });
const total = (result: ReturnType<typeof normaliseUsage>) => {
  if ('impossible' in result) throw new Error(result.impossible);
  return Object.values(result.usage).reduce<number>((sum, quantity) => sum + Number(quantity), 0);
};

describe('meters are additive: they sum to what the provider says was used', () => {
  test('openai.chat: every detail is a part of its whole', () => {
    fc.assert(
      fc.property(
        fc.record({ text: count, audio: count, image: count, cached: count, written: count }),
        fc.record({ text: count, audio: count, reasoning: count }),
        (input, output) => {
          const prompt = input.text + input.audio + input.image + input.cached + input.written;
          const completion = output.text + output.audio + output.reasoning;
          const result = normaliseUsage('openai.chat', {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: {
              audio_tokens: input.audio,
              image_tokens: input.image,
              cached_tokens: input.cached,
              cache_write_tokens: input.written,
            },
            completion_tokens_details: { audio_tokens: output.audio, reasoning_tokens: output.reasoning },
          });
          expect(total(result)).toBe(prompt + completion);
        },
      ),
    );
  });

  test('anthropic.messages: input, creation and read beside each other', () => {
    fc.assert(
      fc.property(count, count, count, count, count, (input, five, hour, read, output) => {
        const result = normaliseUsage('anthropic.messages', {
          input_tokens: input,
          cache_creation_input_tokens: five + hour,
          cache_creation: { ephemeral_5m_input_tokens: five, ephemeral_1h_input_tokens: hour },
          cache_read_input_tokens: read,
          output_tokens: output,
        });
        expect(total(result)).toBe(input + five + hour + read + output);
        expect(result).toMatchObject({ usage: hour === 0 ? {} : { cache_write_1h_tokens: hour } });
      }),
    );
  });

  test('google.generate_content: cached inside the prompt, thoughts and tool use beside it', () => {
    fc.assert(
      fc.property(
        fc.record({ text: count, image: count, video: count, audio: count, tool: count, unlisted: count }),
        fc.record({ candidates: count, image: count, thoughts: count }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (input, output, share) => {
          const prompt = input.text + input.image + input.video + input.audio + input.unlisted;
          const candidates = output.candidates + output.image;
          const sum = prompt + input.tool + candidates + output.thoughts;
          const result = normaliseUsage('google.generate_content', {
            promptTokenCount: prompt,
            promptTokensDetails: [
              { modality: 'TEXT', tokenCount: input.text },
              { modality: 'IMAGE', tokenCount: input.image },
              { modality: 'VIDEO', tokenCount: input.video },
              { modality: 'AUDIO', tokenCount: input.audio },
            ],
            cachedContentTokenCount: Math.floor(prompt * share),
            toolUsePromptTokenCount: input.tool,
            candidatesTokenCount: candidates,
            candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: output.image }],
            thoughtsTokenCount: output.thoughts,
            totalTokenCount: sum,
          });
          expect(total(result)).toBe(sum);
        },
      ),
    );
  });

  test('aws.bedrock_converse: cache counts beside the input, each once though written twice', () => {
    fc.assert(
      fc.property(count, count, count, count, (input, read, written, output) => {
        const usage = {
          inputTokens: input,
          outputTokens: output,
          cacheReadInputTokens: read,
          cacheReadInputTokenCount: read,
          cacheWriteInputTokens: written,
          cacheWriteInputTokenCount: written,
          totalTokens: input + read + written + output,
        };
        expect(total(normaliseUsage('aws.bedrock_converse', usage))).toBe(usage.totalTokens);
      }),
    );
  });
});

describe('deviations of those who copy a format', () => {
  test('xAI leaves reasoning out of the completion: the total tells', () => {
    const usage = {
      prompt_tokens: 10_120,
      completion_tokens: 1_499,
      total_tokens: 14_428,
      prompt_tokens_details: { text_tokens: 10_120, cached_tokens: 128 },
      completion_tokens_details: { reasoning_tokens: 2_809 },
    };
    expect(normaliseUsage('openai.chat', usage)).toEqual({
      usage: { input_tokens: 9_992, cache_read_tokens: 128, output_tokens: 4_308 },
      info: { reasoning_tokens: 2_809 },
    });
  });

  test('DeepSeek names cached tokens as hits and misses, and once more in the details', () => {
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 7,
      total_tokens: 107,
      prompt_cache_hit_tokens: 64,
      prompt_cache_miss_tokens: 36,
      prompt_tokens_details: { cached_tokens: 64 },
    };
    expect(normaliseUsage('openai.chat', usage)).toMatchObject({
      usage: { input_tokens: 36, cache_read_tokens: 64, output_tokens: 7 },
    });
    expect(normaliseUsage('openai.chat', { ...usage, prompt_cache_miss_tokens: 35 })).toHaveProperty('impossible');
    expect(normaliseUsage('openai.chat', { ...usage, prompt_cache_hit_tokens: 63 })).toHaveProperty('impossible');
  });

  test('Perplexity charges reasoning, citations and searches beside the completion', () => {
    const usage = {
      prompt_tokens: 33,
      completion_tokens: 7_163,
      total_tokens: 7_196,
      citation_tokens: 20_016,
      num_search_queries: 18,
      reasoning_tokens: 73_994,
      search_context_size: 'low',
      cost: { input_tokens_cost: 0, total_cost: 0.409 },
    };
    expect(normaliseUsage('openai.chat', usage)).toEqual({
      usage: {
        input_tokens: 33,
        output_tokens: 7_163,
        output_reasoning_tokens: 73_994,
        output_citation_tokens: 20_016,
        web_searches: 18,
      },
      info: {},
      reported_cost: { amount: '0.409', currency: 'usd' },
    });
    expect(
      normaliseUsage('openai.chat', { prompt_tokens: 1, completion_tokens: 2, search_context_size: 'low' }),
    ).toMatchObject({ usage: { input_tokens: 1, output_tokens: 2, requests: 1 } });
  });

  test('rejected predictions are part of the output, and billed', () => {
    const usage = {
      prompt_tokens: 5,
      completion_tokens: 30,
      completion_tokens_details: { accepted_prediction_tokens: 10, rejected_prediction_tokens: 8 },
    };
    expect(normaliseUsage('openai.chat', usage)).toEqual({
      usage: { input_tokens: 5, output_tokens: 30 },
      info: { accepted_prediction_tokens: 10, rejected_prediction_tokens: 8 },
    });
  });

  test('a reported cost keeps the digits that the provider wrote', () => {
    const cost = (value: unknown, more: object = {}) =>
      normaliseUsage('openai.chat', { prompt_tokens: 1, completion_tokens: 1, cost: value, ...more });
    const amount = (text: string) => ({ reported_cost: { amount: text, currency: 'usd' } });
    expect(cost(0.00341475)).toMatchObject(amount('0.00341475'));
    expect(cost(1.825e-9)).toMatchObject(amount('0.000000001825'));
    expect(cost(5e-7)).toMatchObject(amount('0.0000005'));
    expect(cost(12)).toMatchObject(amount('12'));
    // With the customer's own key: OpenRouter's fee and the upstream cost, summed exactly (0.1 + 0.2 is 0.3 here).
    const upstream = { is_byok: true, cost_details: { upstream_inference_cost: 0.2 } };
    expect(cost(0.1, upstream)).toMatchObject(amount('0.3'));
    for (const none of [-1, null, 'free', 1e21]) expect(cost(none)).not.toHaveProperty('reported_cost');
  });

  test('Cohere: what is billed counts, the tokens of its templates do not', () => {
    const meta = {
      billed_units: { search_units: 2, images: 3, classifications: 4 },
      tokens: { input_tokens: 999 },
      cached_tokens: 5,
    };
    expect(normaliseUsage('cohere', meta)).toEqual({
      usage: { search_units: 2, images: 3, classifications: 4 },
      info: { cached_tokens: 5 },
    });
    expect(normaliseUsage('cohere', { tokens: { input_tokens: 5 } })).toHaveProperty('impossible');
  });

  test('Anthropic: where inference was bound to a region, and fast mode, change the price and are told', () => {
    const of = (more: object) =>
      normaliseUsage('anthropic.messages', { input_tokens: 1, output_tokens: 1, service_tier: 'standard', ...more });
    const counts = { usage: { input_tokens: 1, output_tokens: 1 }, info: {} };
    expect(of({ inference_geo: 'us' })).toEqual({ ...counts, service_tier: 'standard', region: 'us' });
    for (const inference_geo of ['global', 'not_available']) {
      expect(of({ inference_geo, speed: 'standard' })).toEqual({ ...counts, service_tier: 'standard' });
    }
    expect(of({ speed: 'fast' })).toEqual({ ...counts, service_tier: 'fast' });
  });

  test('Anthropic: iterations are in the totals, but for compaction; a failed fallback costs nothing', () => {
    const iteration = (type: string, input: number, output: number) => ({
      type,
      input_tokens: input,
      output_tokens: output,
    });
    const usage = {
      input_tokens: 180,
      output_tokens: 8,
      iterations: [
        iteration('compaction', 100, 82),
        iteration('fallback_message', 170, 3),
        iteration('message', 180, 8),
      ],
    };
    expect(normaliseUsage('anthropic.messages', usage)).toMatchObject({
      usage: { input_tokens: 280, output_tokens: 90 },
    });
  });

  test('Google: cached video stands with cached text, images of every kind together', () => {
    const usage = {
      promptTokenCount: 100,
      promptTokensDetails: [
        { modality: 'VIDEO', tokenCount: 60 },
        { modality: 'DOCUMENT', tokenCount: 30 },
        { modality: 'IMAGE', tokenCount: 10 },
      ],
      cachedContentTokenCount: 45,
      cacheTokensDetails: [
        { modality: 'VIDEO', tokenCount: 20 },
        { modality: 'DOCUMENT', tokenCount: 25 },
      ],
    };
    expect(normaliseUsage('google.generate_content', usage)).toMatchObject({
      usage: { input_video_tokens: 40, cache_read_tokens: 20, input_image_tokens: 15, cache_read_image_tokens: 25 },
    });
  });

  test('Bedrock says how long written tokens live', () => {
    const usage = {
      inputTokens: 1,
      outputTokens: 1,
      cacheWriteInputTokens: 30,
      cacheDetails: [
        { ttl: '1h', inputTokens: 20 },
        { ttl: '5m', inputTokens: 10 },
      ],
      totalTokens: 32,
    };
    expect(normaliseUsage('aws.bedrock_converse', usage)).toMatchObject({
      usage: { input_tokens: 1, cache_write_tokens: 10, cache_write_1h_tokens: 20, output_tokens: 1 },
    });
  });
});

describe('counts that cannot be true are never corrected', () => {
  const impossible: [UsageFormat, string, object][] = [
    ['openai.chat', 'cached beyond the prompt', { prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 6 } }],
    [
      'openai.chat',
      'cached and written together beyond the prompt',
      { prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 3, cache_write_tokens: 3 } },
    ],
    [
      'openai.chat',
      'reasoning beyond the completion',
      { prompt_tokens: 5, completion_tokens: 2, completion_tokens_details: { reasoning_tokens: 3 } },
    ],
    ['openai.chat', 'a total that does not add up', { prompt_tokens: 5, completion_tokens: 2, total_tokens: 8 }],
    ['openai.chat', 'a negative count', { prompt_tokens: -1 }],
    ['openai.chat', 'a fraction', { prompt_tokens: 1.5 }],
    ['openai.chat', 'a count beyond what JSON carries', { prompt_tokens: 2 ** 53 }],
    ['openai.chat', 'no prompt', { completion_tokens: 2 }],
    ['openai.chat', 'details that are no object', { prompt_tokens: 5, prompt_tokens_details: 3 }],
    ['openai.chat', 'audio beyond the prompt', { prompt_tokens: 5, prompt_tokens_details: { audio_tokens: 6 } }],
    ['openai.responses', 'a total that does not add up', { input_tokens: 5, output_tokens: 2, total_tokens: 6 }],
    ['openai.embeddings', 'a total beyond the prompt', { prompt_tokens: 5, total_tokens: 6 }],
    ['openai.embeddings', 'a completion', { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 }],
    [
      'anthropic.messages',
      'lifetimes beyond the creation',
      {
        input_tokens: 1,
        output_tokens: 1,
        cache_creation_input_tokens: 5,
        cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 3 },
      },
    ],
    [
      'anthropic.messages',
      'thinking beyond the output',
      { input_tokens: 1, output_tokens: 1, output_tokens_details: { thinking_tokens: 2 } },
    ],
    [
      'anthropic.messages',
      'an iteration of an unknown type',
      { input_tokens: 1, output_tokens: 1, iterations: [{ type: 'novel', input_tokens: 1, output_tokens: 1 }] },
    ],
    [
      'google.generate_content',
      'a total that does not add up',
      { promptTokenCount: 5, candidatesTokenCount: 2, totalTokenCount: 8 },
    ],
    ['google.generate_content', 'cached beyond the prompt', { promptTokenCount: 5, cachedContentTokenCount: 6 }],
    [
      'google.generate_content',
      'modalities beyond the prompt',
      { promptTokenCount: 5, promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 6 }] },
    ],
    [
      'google.generate_content',
      'more cached audio than audio',
      {
        promptTokenCount: 9,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 7 },
          { modality: 'AUDIO', tokenCount: 2 },
        ],
        cachedContentTokenCount: 3,
        cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 3 }],
      },
    ],
    [
      'google.generate_content',
      'an unknown modality',
      { promptTokenCount: 5, promptTokensDetails: [{ modality: 'SMELL', tokenCount: 1 }] },
    ],
    ['google.generate_content', 'nothing at all', {}],
    [
      'aws.bedrock_converse',
      'two names that do not agree',
      { inputTokens: 1, outputTokens: 1, cacheReadInputTokens: 5, cacheReadInputTokenCount: 6 },
    ],
    [
      'aws.bedrock_converse',
      'a total without the cache',
      { inputTokens: 1, outputTokens: 1, cacheReadInputTokens: 5, totalTokens: 2 },
    ],
    [
      'aws.bedrock_converse',
      'lifetimes beyond what was written',
      { inputTokens: 1, outputTokens: 1, cacheWriteInputTokens: 5, cacheDetails: [{ ttl: '1h', inputTokens: 6 }] },
    ],
    [
      'aws.bedrock_converse',
      'an unknown lifetime',
      { inputTokens: 1, outputTokens: 1, cacheWriteInputTokens: 5, cacheDetails: [{ ttl: '24h', inputTokens: 5 }] },
    ],
    ['openai.chat', 'text beyond the prompt', { prompt_tokens: 5, prompt_tokens_details: { text_tokens: 6 } }],
    ['cohere', 'a negative unit', { billed_units: { input_tokens: -1 } }],
    ['cohere', 'a unit with a name like a text', { billed_units: { 'What is the capital?': 1 } }],
  ];
  test.each(impossible)('%s: %s', (format, _what, usage) => {
    expect(normaliseUsage(format, usage)).toEqual({ impossible: expect.any(String) });
  });

  test('whatever a usage object holds, the outcome is meters of whole numbers or a reason', () => {
    const formats = impossible.map(([format]) => format);
    const names = [
      ...new Set(impossible.flatMap(([, , usage]) => JSON.stringify(usage).match(/(?<=")\w+(?=":)/g) ?? [])),
    ];
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.integer({ min: -3, max: 30 }),
        fc.constantFrom(null, 'TEXT', 1.5, true),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 6 }),
      ),
    }));
    fc.assert(
      fc.property(fc.constantFrom(...formats), tree, (format, usage) => {
        const result = normaliseUsage(format, usage);
        if ('impossible' in result) return result.impossible !== '';
        return Object.values(result.usage).every((value) => Number.isSafeInteger(value) && Number(value) > 0);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('responses', () => {
  test('nothing but counts and labels is taken out of a response', () => {
    const secret = 'tell nobody';
    const found = fromResponse('openai.chat', {
      id: 'chatcmpl-1',
      model: 'gpt-5-mini',
      service_tier: 'flex',
      choices: [{ message: { content: secret } }],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 4,
        prompt: secret,
        note: secret,
        service_tier: secret,
        completion_tokens_details: { reasoning_tokens: 1, content: [secret], 'a key of words': 1 },
      },
    });
    expect(found).toEqual({
      model_id: 'gpt-5-mini',
      service_tier: 'flex',
      provider_usage: {
        format: 'openai.chat',
        usage: { prompt_tokens: 3, completion_tokens: 4, completion_tokens_details: { reasoning_tokens: 1 } },
      },
    });
    expect(JSON.stringify(found)).not.toContain(secret);
  });

  test('a response without usage, a model that is a text, a body that is no object', () => {
    expect(fromResponse('openai.chat', { model: 'gpt-5' })).toBeNull();
    expect(fromResponse('openai.chat', 'text')).toBeNull();
    expect(fromResponse('openai.chat', { model: 'a\nb', usage: { prompt_tokens: 1 } })).toMatchObject({
      model_id: null,
    });
    expect(fromResponse('cohere', { meta: { billed_units: { search_units: 1 } } })).toMatchObject({
      provider_usage: { usage: { billed_units: { search_units: 1 } } },
    });
  });

  test('a shape that more than one format has is not guessed', () => {
    expect(detectFormat({ input_tokens: 1, output_tokens: 2 })).toBeNull();
    expect(detectFormat({ input_tokens: 1, cache_read_input_tokens: 0, total_tokens: 2 })).toBeNull();
    expect(detectFormat({ inputTokens: 1, outputTokens: 2, totalTokens: 3 })).toBeNull();
    expect(detectFormat({ prompt_tokens: 1 })).toBeNull();
    expect(detectFormat(null)).toBeNull();
    expect(detectFormat({ input_tokens: 1, output_tokens: 2, total_tokens: 3 })).toBe('openai.responses');
    expect(detectFormat({ type: 'message', usage: { input_tokens: 1, output_tokens: 2 } })).toBe('anthropic.messages');
    expect(detectFormat({ stopReason: 'end_turn', usage: { inputTokens: 1 } })).toBe('aws.bedrock_converse');
    expect(detectFormat({ object: 'list', usage: { prompt_tokens: 1, completion_tokens: 0 } })).toBe(
      'openai.embeddings',
    );
  });
});
