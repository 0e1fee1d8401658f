import { describe, expect, test } from 'vitest';
import type { UsageFormat } from '../../../src/contracts/usage-event.js';
import { detectFormat, fromResponse, normaliseUsage } from '../../../src/usage/normalise.js';

/** What is expected is written out from the rules of the providers and SDKs, the arithmetic beside it. */
interface Case {
  format: UsageFormat;
  name: string;
  usage: Record<string, unknown>;
  provider?: string;
  model?: string;
  expected: ReturnType<typeof normaliseUsage>;
}

const cases: Case[] = [
  {
    format: 'openai.images',
    name: 'text and a picture in, a picture out',
    usage: {
      input_tokens: 373,
      input_tokens_details: { text_tokens: 50, image_tokens: 323 },
      output_tokens: 4_160,
      total_tokens: 4_533,
    },
    expected: { usage: { input_tokens: 50, input_image_tokens: 323, output_image_tokens: 4_160 }, info: {} },
  },
  {
    format: 'openai.images',
    name: 'an output that is partly text: 4,200 - 40 are image',
    usage: {
      input_tokens: 10,
      input_tokens_details: { text_tokens: 10, image_tokens: 0 },
      output_tokens: 4_200,
      output_tokens_details: { text_tokens: 40, image_tokens: 4_160 },
      total_tokens: 4_210,
    },
    expected: { usage: { input_tokens: 10, output_tokens: 40, output_image_tokens: 4_160 }, info: {} },
  },
  {
    format: 'openai.audio',
    name: 'a transcription by tokens: 14 = 12 audio + 2 text of the prompt',
    usage: {
      type: 'tokens',
      input_tokens: 14,
      input_token_details: { text_tokens: 2, audio_tokens: 12 },
      output_tokens: 45,
      total_tokens: 59,
    },
    expected: { usage: { input_tokens: 2, input_audio_tokens: 12, output_tokens: 45 }, info: {} },
  },
  {
    format: 'openai.audio',
    name: 'a transcription whose input is not split: all of it is audio',
    usage: { type: 'tokens', input_tokens: 14, output_tokens: 45, total_tokens: 59 },
    expected: { usage: { input_audio_tokens: 14, output_tokens: 45 }, info: {} },
  },
  {
    format: 'openai.audio',
    name: 'a transcription by the second',
    usage: { type: 'duration', seconds: 9 },
    expected: { usage: { input_audio_seconds: 9 }, info: {} },
  },
  {
    format: 'openai.audio',
    name: 'a fraction of a second is the decimal that was written',
    usage: { type: 'duration', seconds: 3.4200000762939453 },
    expected: { usage: { input_audio_seconds: '3.4200000762939453' }, info: {} },
  },
  {
    format: 'openai.audio',
    name: 'speech: text in, audio out',
    usage: { input_tokens: 14, output_tokens: 101, total_tokens: 115 },
    expected: { usage: { input_tokens: 14, output_audio_tokens: 101 }, info: {} },
  },
  {
    format: 'openai.audio',
    name: 'speech by the character',
    usage: { input_characters: 1_240 },
    expected: { usage: { input_characters: 1_240 }, info: {} },
  },
  {
    format: 'openai.realtime',
    name: 'text 119 - 64 cached, audio 13 - 0 cached; 30 text and 91 audio out',
    usage: {
      total_tokens: 253,
      input_tokens: 132,
      output_tokens: 121,
      input_token_details: {
        text_tokens: 119,
        audio_tokens: 13,
        image_tokens: 0,
        cached_tokens: 64,
        cached_tokens_details: { text_tokens: 64, audio_tokens: 0, image_tokens: 0 },
      },
      output_token_details: { text_tokens: 30, audio_tokens: 91 },
    },
    expected: {
      usage: {
        cache_read_tokens: 64,
        input_tokens: 55,
        input_audio_tokens: 13,
        output_tokens: 30,
        output_audio_tokens: 91,
      },
      info: {},
    },
  },
  {
    format: 'openai.realtime',
    name: 'cached audio is taken from the audio: 900 - 600',
    usage: {
      total_tokens: 1_050,
      input_tokens: 1_000,
      output_tokens: 50,
      input_token_details: {
        text_tokens: 100,
        audio_tokens: 900,
        cached_tokens: 640,
        cached_tokens_details: { text_tokens: 40, audio_tokens: 600 },
      },
      output_token_details: { text_tokens: 10, audio_tokens: 40 },
    },
    expected: {
      usage: {
        cache_read_tokens: 40,
        cache_read_audio_tokens: 600,
        input_tokens: 60,
        input_audio_tokens: 300,
        output_tokens: 10,
        output_audio_tokens: 40,
      },
      info: {},
    },
  },
  {
    format: 'ai_sdk.v5',
    name: 'OpenAI: cached tokens are part of the input, 1,000 - 600',
    provider: 'openai',
    usage: { inputTokens: 1_000, outputTokens: 200, totalTokens: 1_200, reasoningTokens: 50, cachedInputTokens: 600 },
    expected: {
      usage: { input_tokens: 400, cache_read_tokens: 600, output_tokens: 200 },
      info: { reasoning_tokens: 50 },
    },
  },
  {
    format: 'ai_sdk.v5',
    name: 'Anthropic: cached tokens stand beside the input',
    provider: 'anthropic',
    usage: { inputTokens: 12, outputTokens: 200, totalTokens: 212, cachedInputTokens: 6_000 },
    expected: { usage: { input_tokens: 12, cache_read_tokens: 6_000, output_tokens: 200 }, info: {} },
  },
  {
    format: 'ai_sdk.v5',
    name: "Anthropic's models on another platform: by the model",
    provider: 'google',
    model: 'claude-sonnet-4-5',
    usage: { inputTokens: 6_012, outputTokens: 200, totalTokens: 6_212, cachedInputTokens: 6_000 },
    expected: { usage: { input_tokens: 6_012, cache_read_tokens: 6_000, output_tokens: 200 }, info: {} },
  },
  {
    format: 'ai_sdk.v5',
    name: 'Anthropic: written tokens come from the provider metadata',
    usage: {
      inputTokens: 12,
      outputTokens: 200,
      totalTokens: 212,
      cachedInputTokens: 6_000,
      cacheCreationInputTokens: 900,
    },
    expected: {
      usage: { input_tokens: 12, cache_read_tokens: 6_000, cache_write_tokens: 900, output_tokens: 200 },
      info: {},
    },
  },
  {
    format: 'ai_sdk.v5',
    name: 'Google: thoughts are not in the output, the total tells: 100 + 40 + 300 = 440',
    provider: 'google',
    usage: { inputTokens: 100, outputTokens: 40, totalTokens: 440, reasoningTokens: 300, cachedInputTokens: 0 },
    expected: { usage: { input_tokens: 100, output_tokens: 340 }, info: { reasoning_tokens: 300 } },
  },
  {
    format: 'ai_sdk.v6',
    name: 'the whole input and its parts: 1,000 + 800 + 200',
    usage: {
      inputTokens: 2_000,
      inputTokenDetails: { noCacheTokens: 1_000, cacheReadTokens: 800, cacheWriteTokens: 200 },
      outputTokens: 310,
      outputTokenDetails: { textTokens: 210, reasoningTokens: 100 },
      totalTokens: 2_310,
    },
    expected: {
      usage: { input_tokens: 1_000, cache_read_tokens: 800, cache_write_tokens: 200, output_tokens: 310 },
      info: { reasoning_tokens: 100 },
    },
  },
  {
    format: 'ai_sdk.v6',
    name: 'the usage that a model hands the SDK',
    usage: {
      inputTokens: { total: 2_000, noCache: 1_000, cacheRead: 800, cacheWrite: 200 },
      outputTokens: { total: 310, reasoning: 100 },
    },
    expected: {
      usage: { input_tokens: 1_000, cache_read_tokens: 800, cache_write_tokens: 200, output_tokens: 310 },
      info: { reasoning_tokens: 100 },
    },
  },
  {
    format: 'ai_sdk.v6',
    name: "the provider's own object says that 150 of 200 written tokens live an hour",
    usage: {
      inputTokens: 2_000,
      inputTokenDetails: { noCacheTokens: 1_000, cacheReadTokens: 800, cacheWriteTokens: 200 },
      outputTokens: 310,
      totalTokens: 2_310,
      raw: {
        input_tokens: 1_000,
        cache_read_input_tokens: 800,
        cache_creation_input_tokens: 200,
        cache_creation: { ephemeral_5m_input_tokens: 50, ephemeral_1h_input_tokens: 150 },
        output_tokens: 310,
      },
    },
    expected: {
      usage: {
        input_tokens: 1_000,
        cache_read_tokens: 800,
        cache_write_tokens: 50,
        cache_write_1h_tokens: 150,
        output_tokens: 310,
      },
      info: {},
    },
  },
  {
    format: 'ai_sdk.v6',
    name: 'embeddings are all input',
    usage: { tokens: 42 },
    expected: { usage: { input_tokens: 42 }, info: {} },
  },
  {
    format: 'ai_sdk.v5',
    name: 'embeddings are all input',
    usage: { tokens: 42 },
    expected: { usage: { input_tokens: 42 }, info: {} },
  },
  {
    format: 'litellm.standard_logging_payload',
    name: "Anthropic's cache is inside prompt_tokens: 2,000 - 800 - 200",
    usage: {
      prompt_tokens: 2_000,
      completion_tokens: 310,
      total_tokens: 2_310,
      cache_read_input_tokens: 800,
      cache_creation_input_tokens: 200,
      prompt_tokens_details: {
        cached_tokens: 800,
        cache_creation_tokens: 200,
        cache_creation_token_details: { ephemeral_5m_input_tokens: 120, ephemeral_1h_input_tokens: 80 },
      },
    },
    expected: {
      usage: {
        input_tokens: 1_000,
        cache_read_tokens: 800,
        cache_write_tokens: 120,
        cache_write_1h_tokens: 80,
        output_tokens: 310,
      },
      info: {},
    },
  },
  {
    format: 'litellm.standard_logging_payload',
    name: 'without details everything is input',
    usage: { prompt_tokens: 30, completion_tokens: 10, total_tokens: 40 },
    expected: { usage: { input_tokens: 30, output_tokens: 10 }, info: {} },
  },
  {
    format: 'litellm.standard_logging_payload',
    name: 'audio and reasoning: 300 - 100 audio; 90 out of which 20 are reasoning and 30 audio',
    usage: {
      prompt_tokens: 300,
      completion_tokens: 90,
      total_tokens: 390,
      prompt_tokens_details: { audio_tokens: 100 },
      completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 30 },
    },
    expected: {
      usage: { input_tokens: 200, input_audio_tokens: 100, output_tokens: 60, output_audio_tokens: 30 },
      info: { reasoning_tokens: 20 },
    },
  },
  {
    format: 'opentelemetry.gen_ai',
    name: 'read and written tokens are part of the input',
    usage: {
      input_tokens: 2_000,
      output_tokens: 310,
      cache_read_input_tokens: 800,
      cache_creation_input_tokens: 200,
      reasoning_output_tokens: 100,
    },
    expected: {
      usage: { input_tokens: 1_000, cache_read_tokens: 800, cache_write_tokens: 200, output_tokens: 310 },
      info: { reasoning_tokens: 100 },
    },
  },
];

describe.each(cases)('$format: $name', ({ format, usage, provider, model, expected }) => {
  test('gives these meters', () => {
    expect(normaliseUsage(format, usage, model ?? 'model', provider ?? null)).toEqual(expected);
  });
});

describe('counts that cannot be true hold the event', () => {
  const impossible: [UsageFormat, Record<string, unknown>][] = [
    ['openai.images', { input_tokens: 10, output_tokens: 5, total_tokens: 16 }],
    ['openai.images', { input_tokens: 10, input_tokens_details: { image_tokens: 11 }, output_tokens: 5 }],
    ['openai.images', { input_tokens: 10, output_tokens: 5, output_tokens_details: { text_tokens: 6 } }],
    ['openai.audio', { type: 'duration', seconds: -1 }],
    ['openai.audio', { type: 'duration' }],
    ['openai.audio', { type: 'tokens', input_tokens: 10, input_token_details: { text_tokens: 11 }, output_tokens: 1 }],
    ['openai.audio', { type: 'tokens', input_tokens: 10, output_tokens: 1, total_tokens: 12 }],
    ['openai.audio', { type: 'words', input_tokens: 10 }],
    ['openai.realtime', { input_tokens: 10, output_tokens: 1, input_token_details: { cached_tokens: 11 } }],
    ['ai_sdk.v5', { inputTokens: 10, outputTokens: 1, cachedInputTokens: 5 }],
    ['ai_sdk.v5', { inputTokens: 10, outputTokens: 1, totalTokens: 9 }],
    ['ai_sdk.v5', { inputTokens: 10, outputTokens: 1, totalTokens: 15 }],
    ['ai_sdk.v5', { inputTokens: 10, outputTokens: 1, reasoningTokens: 2 }],
    ['ai_sdk.v6', { inputTokens: 10, inputTokenDetails: { cacheReadTokens: 11 }, outputTokens: 1 }],
    ['ai_sdk.v6', { inputTokens: 10, inputTokenDetails: { noCacheTokens: 3 }, outputTokens: 1 }],
    ['ai_sdk.v6', { inputTokens: 10, outputTokens: 1, totalTokens: 12, outputTokenDetails: {} }],
    ['ai_sdk.v6', { inputTokens: -1, outputTokens: 1, inputTokenDetails: {} }],
    ['litellm.standard_logging_payload', { prompt_tokens: 10, completion_tokens: 1, cache_read_input_tokens: 11 }],
    ['litellm.standard_logging_payload', { prompt_tokens: 10, completion_tokens: 1, total_tokens: 12 }],
    [
      'litellm.standard_logging_payload',
      {
        prompt_tokens: 10,
        completion_tokens: 1,
        cache_read_input_tokens: 4,
        prompt_tokens_details: { cached_tokens: 5 },
      },
    ],
    ['opentelemetry.gen_ai', { input_tokens: 10, output_tokens: 1, cache_read_input_tokens: 11 }],
    ['opentelemetry.gen_ai', { input_tokens: 10, output_tokens: 1.5 }],
    ['opentelemetry.gen_ai', { output_tokens: 0 }],
  ];
  test.each(impossible)('%s %j', (format, usage) => {
    expect(normaliseUsage(format, usage)).toEqual({ impossible: expect.any(String) });
  });
});

describe('a format is told from its shape, or not at all', () => {
  const tokens = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
  test.each<[UsageFormat | null, unknown]>([
    ['openai.images', { created: 1, data: [{}], usage: { ...tokens, input_tokens_details: { text_tokens: 1 } } }],
    [
      'openai.images',
      { type: 'image_generation.completed', usage: { ...tokens, input_tokens_details: { text_tokens: 1 } } },
    ],
    ['openai.audio', { text: '', usage: { type: 'tokens', ...tokens } }],
    ['openai.audio', { text: '', usage: { type: 'duration', seconds: 3 } }],
    ['openai.audio', { type: 'speech.audio.done', usage: tokens }],
    ['openai.realtime', { type: 'response.done', response: { usage: tokens } }],
    ['openai.realtime', { ...tokens, input_token_details: { cached_tokens: 0 } }],
    ['openai.responses', { object: 'response', usage: tokens }],
    ['ai_sdk.v5', { inputTokens: 1, outputTokens: 1, totalTokens: 2, cachedInputTokens: 0 }],
    ['ai_sdk.v6', { inputTokens: 1, outputTokens: 1, totalTokens: 2, inputTokenDetails: {}, cachedInputTokens: 0 }],
    ['ai_sdk.v6', { usage: { inputTokens: { total: 1 }, outputTokens: { total: 1 } } }],
    ['litellm.standard_logging_payload', { call_type: 'completion', response_cost: 0, prompt_tokens: 1 }],
    // Image generations and Responses, Bedrock and AI SDK 5, Anthropic and speech: without more they look alike.
    [null, { ...tokens, input_tokens_details: { text_tokens: 1, image_tokens: 0 } }],
    [null, { inputTokens: 1, outputTokens: 1, totalTokens: 2 }],
    [null, { inputTokens: 1, cacheReadInputTokens: 1, cachedInputTokens: 1 }],
    [null, { input_tokens: 1, output_tokens: 1 }],
    [null, { ...tokens, cache_read_input_tokens: 1, input_token_details: {} }],
  ])('%s', (format, body) => {
    expect(detectFormat(body)).toBe(format);
  });
});

describe('a response gives model and counts, and no content', () => {
  const text = 'what the model said';
  test.each<[UsageFormat, unknown, string | null]>([
    ['openai.realtime', { type: 'response.done', response: { output: [text], usage: { input_tokens: 1 } } }, null],
    ['openai.audio', { text, usage: { type: 'duration', seconds: 3 } }, null],
    ['ai_sdk.v6', { text, response: { modelId: 'gpt-5' }, usage: { inputTokens: 1, outputTokens: 1 } }, 'gpt-5'],
    [
      'litellm.standard_logging_payload',
      { model: 'gpt-5', messages: [text], prompt_tokens: 1, metadata: { usage_object: { prompt_tokens: 1 } } },
      'gpt-5',
    ],
  ])('%s', (format, body, model) => {
    const found = fromResponse(format, body)!;
    expect(found.model_id).toBe(model);
    expect(Object.keys(found.provider_usage.usage)).not.toHaveLength(0);
    expect(JSON.stringify(found)).not.toContain(text);
  });
});
