/**
 * One model call as each gateway reports it: Anthropic's claude-x, 2,000 tokens of input of which 800 were read from the
 * cache and 200 written to it, 310 of output, on 2026-11-24 at 11:58:00 UTC. The texts must not get anywhere.
 */
export const CALL_USAGE = { input_tokens: 1_000, cache_read_tokens: 800, cache_write_tokens: 200, output_tokens: 310 };
export const CALL_TIME = '2026-11-24T11:58:00.000Z';
export const CALL_SECONDS = Date.parse(CALL_TIME) / 1_000;
export const PROMPT = 'Dear doctor, about my diagnosis';

/** An answer of OpenRouter's chat completions, texts included. */
export function openrouterResponse(id: string) {
  return {
    id,
    object: 'chat.completion',
    created: CALL_SECONDS,
    model: 'anthropic/claude-x',
    provider: 'Anthropic',
    choices: [{ index: 0, message: { role: 'assistant', content: PROMPT }, finish_reason: 'stop' }],
    usage: {
      prompt_tokens: 2_000,
      completion_tokens: 310,
      total_tokens: 2_310,
      prompt_tokens_details: { cached_tokens: 800, cache_write_tokens: 200 },
      completion_tokens_details: { reasoning_tokens: 0 },
      cost: 0.0086,
      is_byok: false,
    },
  };
}

type Attribute = { key: string; value: Record<string, unknown> };
export function attributes(named: Readonly<Record<string, string | number>>): Attribute[] {
  return Object.entries(named).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }));
}

export const NANOSECONDS = `${CALL_SECONDS}000000000`;

/** A span by the GenAI conventions, with a prompt in the places where instrumentations put it. */
export function genAiSpan(spanId: string, more: Readonly<Record<string, string | number>> = {}) {
  return {
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId,
    name: `chat ${PROMPT}`,
    kind: 3,
    startTimeUnixNano: NANOSECONDS,
    endTimeUnixNano: `${CALL_SECONDS + 3}000000000`,
    attributes: attributes({
      'costplus.customer_id': 'acme',
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.request.model': 'claude-x',
      'gen_ai.response.model': 'claude-x',
      'gen_ai.usage.input_tokens': 2_000,
      'gen_ai.usage.output_tokens': 310,
      'gen_ai.usage.cache_read.input_tokens': 800,
      'gen_ai.usage.cache_creation.input_tokens': 200,
      'gen_ai.prompt': PROMPT,
      'gen_ai.input.messages': JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: PROMPT }] }]),
      'gen_ai.system_instructions': PROMPT,
      [PROMPT]: 1,
      ...more,
    }),
    events: [{ name: 'gen_ai.user.message', attributes: attributes({ content: PROMPT }) }],
    status: { message: PROMPT },
  };
}

export function exportRequest(
  spans: unknown[],
  resource: Readonly<Record<string, string>> = { 'service.name': 'app' },
) {
  return { resourceSpans: [{ resource: { attributes: attributes(resource) }, scopeSpans: [{ spans }] }] };
}

/** The span that OpenRouter broadcasts for the call. */
export function openrouterBroadcast(id: string) {
  const span = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    name: 'LLM Generation',
    startTimeUnixNano: NANOSECONDS,
    endTimeUnixNano: `${CALL_SECONDS + 3}000000000`,
    attributes: [
      ...attributes({
        'gen_ai.response.id': id,
        'gen_ai.request.model': 'anthropic/claude-x',
        'gen_ai.response.model': 'anthropic/claude-x',
        'gen_ai.provider.name': 'anthropic',
        'gen_ai.usage.input_tokens': 2_000,
        'gen_ai.usage.output_tokens': 310,
        'gen_ai.usage.total_tokens': 2_310,
        'gen_ai.usage.input_tokens.cached': 800,
        'gen_ai.usage.input_tokens.cache_write': 200,
        'user.id': 'acme',
        'gen_ai.prompt': PROMPT,
        'gen_ai.completion': PROMPT,
      }),
      { key: 'gen_ai.usage.total_cost', value: { doubleValue: 0.0086 } },
    ],
  };
  return exportRequest([span, { ...span, spanId: 'b7ad6b7169203332', name: 'provider attempt 0', attributes: [] }], {
    'service.name': 'openrouter',
  });
}

/** A result of AI SDK 6 through Vercel AI Gateway, after a provider that failed. */
export function vercelCall(id: string) {
  return {
    customer_id: 'acme',
    usage: {
      inputTokens: 2_000,
      inputTokenDetails: { noCacheTokens: 1_000, cacheReadTokens: 800, cacheWriteTokens: 200 },
      outputTokens: 310,
      outputTokenDetails: { textTokens: 310, reasoningTokens: 0 },
      totalTokens: 2_310,
    },
    providerMetadata: {
      anthropic: {},
      gateway: {
        generationId: id,
        cost: '0.0086',
        marketCost: '0.0086',
        routing: {
          originalModelId: 'anthropic/claude-x',
          finalProvider: 'anthropic',
          internalReasoning: PROMPT,
          modelAttempts: [
            {
              modelId: 'anthropic/claude-x',
              providerAttempts: [
                { provider: 'bedrock', providerApiModelId: 'us.anthropic.claude-x-v1:0', success: false },
                { provider: 'anthropic', providerApiModelId: 'claude-x', credentialType: 'system', success: true },
              ],
            },
          ],
        },
      },
    },
    response: { id: 'msg_1', modelId: 'anthropic/claude-x', timestamp: CALL_TIME, messages: [{ content: PROMPT }] },
  };
}

/** What LiteLLM's generic_api callback sends of the call. */
export function litellmPayload(id: string, more: Readonly<Record<string, unknown>> = {}) {
  return {
    id,
    trace_id: 'trace-1',
    call_type: 'acompletion',
    status: 'success',
    stream: false,
    cache_hit: false,
    custom_llm_provider: 'anthropic',
    model: 'anthropic/claude-x',
    model_group: 'claude',
    prompt_tokens: 2_000,
    completion_tokens: 310,
    total_tokens: 2_310,
    response_cost: 0.0086,
    startTime: CALL_SECONDS,
    endTime: CALL_SECONDS + 3,
    end_user: 'acme',
    request_tags: [],
    messages: [{ role: 'user', content: PROMPT }],
    response: { choices: [{ message: { content: PROMPT } }] },
    metadata: {
      user_api_key_team_id: 'team-1',
      usage_object: {
        prompt_tokens: 2_000,
        completion_tokens: 310,
        total_tokens: 2_310,
        prompt_tokens_details: { cached_tokens: 800, text_tokens: 1_000, cache_creation_tokens: 200 },
        cache_read_input_tokens: 800,
        cache_creation_input_tokens: 200,
      },
    },
    ...more,
  };
}

/** The call as a usage event of `POST /v1/usage`. */
export const callEvent = {
  customer_id: 'acme',
  provider: 'anthropic',
  model_id: 'claude-x',
  occurred_at: CALL_TIME,
  usage: CALL_USAGE,
};
