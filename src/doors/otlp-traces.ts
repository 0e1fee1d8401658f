import { ID_PATTERN } from '../contracts/patterns.js';
import { decimalOfNumber } from '../usage/reported-cost.js';
import { type DoorEntry, foreignEventId, IGNORED, refused, withoutUndefined } from './door.js';
import { openrouterEventId } from './openrouter.js';
import type { ReadSpan } from './otlp-spans.js';
import { catalogProvider } from './provider-names.js';

/** Operations that are one call of a model. Agents, workflows and tools sum or wrap calls that have spans of their own. */
const CALLS: ReadonlySet<string> = new Set(['chat', 'generate_content', 'text_completion', 'embeddings']);

/** Names of counts, the conventions' own first, then those of older versions and of OpenRouter. */
const COUNT_NAMES: Readonly<Record<string, readonly string[]>> = {
  input_tokens: ['input_tokens', 'prompt_tokens'],
  output_tokens: ['output_tokens', 'completion_tokens'],
  total_tokens: ['total_tokens'],
  cache_read_input_tokens: ['cache_read.input_tokens', 'cache_read_input_tokens', 'input_tokens.cached'],
  cache_creation_input_tokens: [
    'cache_creation.input_tokens',
    'cache_write.input_tokens',
    'cache_creation_input_tokens',
    'cache_write_input_tokens',
    'input_tokens.cache_write',
    'input_tokens.cache_creation',
  ],
  reasoning_output_tokens: ['reasoning.output_tokens', 'output_tokens.reasoning'],
  audio_input_tokens: ['input_tokens.audio'],
  video_input_tokens: ['input_tokens.video'],
  audio_output_tokens: ['output_tokens.audio'],
  image_output_tokens: ['output_tokens.image'],
};

function countsOf(span: ReadSpan): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [name, spellings] of Object.entries(COUNT_NAMES)) {
    const spelling = spellings.find((each) => span.attributes.has(`gen_ai.usage.${each}`));
    const value = spelling === undefined ? undefined : span.attributes.get(`gen_ai.usage.${spelling}`);
    if (typeof value === 'number') counts[name] = value;
  }
  return counts;
}

/**
 * One span by OpenTelemetry's GenAI conventions, or of OpenRouter's broadcast (`service.name` is `openrouter`).
 * Identity: trace id and span id; of OpenRouter the generation id. Time: the span's start, when the request was sent.
 * Customer: `costplus.customer_id`, else `trace.metadata.customer_id`, `enduser.id`, `user.id`, of the span or its
 * resource. The trace is the action. Spans without counts are no calls and are passed over.
 */
export function readTraceSpan(span: ReadSpan, at: number): DoorEntry {
  const path = `spans[${at}]`;
  const text = (name: string): string | undefined => {
    const value = span.attributes.get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const counts = countsOf(span);
  if (Object.keys(counts).length === 0) return IGNORED;
  const isOpenrouter = text('service.name') === 'openrouter';
  const operation = text('gen_ai.operation.name');
  if (operation === undefined && !isOpenrouter) {
    return refused(`${path}.attributes.gen_ai.operation.name`, 'is missing: an agent span may sum its calls');
  }
  if (operation !== undefined && !CALLS.has(operation)) return IGNORED;
  const { trace_id: traceId, span_id: spanId } = span;
  if (traceId === undefined || !/^[0-9a-fA-F]{32}$/.test(traceId)) {
    return refused(`${path}.traceId`, 'must be 32 hexadecimal digits');
  }
  if (spanId === undefined || !/^[0-9a-fA-F]{16}$/.test(spanId)) {
    return refused(`${path}.spanId`, 'must be 16 hexadecimal digits');
  }
  if (span.start_ns === null) return refused(`${path}.startTimeUnixNano`, 'is missing');

  const generation = isOpenrouter ? text('gen_ai.response.id') : undefined;
  const provider = text('gen_ai.provider.name') ?? text('gen_ai.system');
  const action = text('costplus.action_id') ?? traceId.toLowerCase();
  const cost = decimalOfNumber(span.attributes.get('gen_ai.usage.total_cost'));
  return {
    event: withoutUndefined({
      event_id:
        generation === undefined
          ? foreignEventId('otel', traceId.toLowerCase(), spanId.toLowerCase())
          : openrouterEventId(generation),
      customer_id:
        text('costplus.customer_id') ?? text('trace.metadata.customer_id') ?? text('enduser.id') ?? text('user.id'),
      provider: isOpenrouter ? 'openrouter' : provider === undefined ? undefined : catalogProvider(provider),
      model_id: text('gen_ai.response.model') ?? text('gen_ai.request.model'),
      occurred_at: new Date(Number(span.start_ns / 1_000_000n)).toISOString(),
      provider_usage: { format: 'opentelemetry.gen_ai', usage: counts },
      feature: text('costplus.feature'),
      action_id: ID_PATTERN.test(action) ? action : undefined,
      service_tier: text('openai.response.service_tier') ?? text('gen_ai.openai.response.service_tier'),
      paid_by: text('costplus.paid_by'),
      reported_cost: cost === null ? undefined : { amount: cost, currency: 'usd' },
    }),
    marks: [],
  };
}
