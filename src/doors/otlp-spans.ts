import { objectOf, stringOf } from './door.js';

/** A span with those of its attributes that the door reads. Nothing else of a span outlives its reading. */
export interface ReadSpan {
  trace_id: string | undefined;
  span_id: string | undefined;
  /** Nanoseconds since 1970. */
  start_ns: bigint | null;
  attributes: ReadonlyMap<string, string | number>;
}

/** Attributes that are read, of the span and of its resource. Prompts, answers and everything else are passed over. */
const READ: ReadonlySet<string> = new Set([
  'service.name',
  'costplus.customer_id',
  'costplus.feature',
  'costplus.action_id',
  'costplus.paid_by',
  'trace.metadata.customer_id',
  'enduser.id',
  'user.id',
  'gen_ai.operation.name',
  'gen_ai.provider.name',
  'gen_ai.system',
  'gen_ai.request.model',
  'gen_ai.response.model',
  'gen_ai.response.id',
  'gen_ai.openai.response.service_tier',
  'openai.response.service_tier',
]);
const COUNTS = 'gen_ai.usage.';

/**
 * The spans of an OTLP export request in its JSON form, which the protobuf form is read into too. Null where it is none.
 * The strings of attributes that are not read are never looked at.
 */
export function readSpans(request: unknown): ReadSpan[] | null {
  const resources = objectOf(request)?.resourceSpans;
  if (resources !== undefined && !Array.isArray(resources)) return null;
  const spans: ReadSpan[] = [];
  for (const resource of resources ?? []) {
    const shared = attributesOf(objectOf(objectOf(resource)?.resource)?.attributes);
    for (const scope of listOf(objectOf(resource)?.scopeSpans)) {
      for (const value of listOf(objectOf(scope)?.spans)) {
        const span = objectOf(value) ?? {};
        spans.push({
          trace_id: stringOf(span.traceId),
          span_id: stringOf(span.spanId),
          start_ns: nanoseconds(span.startTimeUnixNano),
          attributes: new Map([...shared, ...attributesOf(span.attributes)]),
        });
      }
    }
  }
  return spans;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function attributesOf(list: unknown): Map<string, string | number> {
  const read = new Map<string, string | number>();
  for (const entry of listOf(list)) {
    const { key, value } = objectOf(entry) ?? {};
    if (typeof key !== 'string' || !(READ.has(key) || key.startsWith(COUNTS))) continue;
    const any = objectOf(value) ?? {};
    // Counts are integers, which JSON writes as strings; of a count that came as text nothing is kept but that it is none.
    const number = any.intValue ?? any.doubleValue;
    if (number !== undefined) read.set(key, numberOf(number));
    else if (key.startsWith(COUNTS)) read.set(key, Number.NaN);
    else if (typeof any.stringValue === 'string') read.set(key, any.stringValue);
  }
  return read;
}

/** Numbers as OTLP writes them in JSON, some of them as text; NaN for anything else. */
function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN;
}

function nanoseconds(value: unknown): bigint | null {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return BigInt(value);
  return typeof value === 'string' && /^[1-9]\d{0,19}$/.test(value) ? BigInt(value) : null;
}
