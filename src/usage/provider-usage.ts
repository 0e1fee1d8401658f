import {
  FIELD_NAME_CHARS,
  PROVIDER_USAGE_DEPTH_LEVELS,
  PROVIDER_USAGE_LABEL_CHARS,
  PROVIDER_USAGE_VALUES_COUNT,
} from '../limits.js';

/**
 * What a provider's usage object may hold. Providers add counts, so numbers may have any name; but it is stored with
 * the event, so it must not be able to carry a text (invariant 6): strings stand only under the names below and only as
 * labels without spaces, and names that texts are known by are refused whatever they hold.
 */
const LABEL_NAMES: ReadonlySet<string> = new Set([
  'service_tier',
  'serviceTier',
  'tier',
  'speed',
  'inference_geo',
  'trafficType',
  'modality',
  'type',
  'model',
  'ttl',
  'search_context_size',
]);
const TEXT_NAMES: ReadonlySet<string> = new Set([
  'candidates',
  'choices',
  'completion',
  'content',
  'contents',
  'delta',
  'input_text',
  'instructions',
  'message',
  'messages',
  'output_text',
  'parts',
  'prompt',
  'reasoning_content',
  'system',
  'text',
  'thinking',
]);
const LABEL = new RegExp(`^[A-Za-z0-9._:/@-]{0,${PROVIDER_USAGE_LABEL_CHARS}}$`);
const NAME = new RegExp(`^[A-Za-z][A-Za-z0-9_]{0,${FIELD_NAME_CHARS - 1}}$`);

/** Where and why a value was refused. The field names keys only, cut to what may be shown; never a value. */
export interface Fault {
  /** Relative path, `.usage.input_tokens`; empty for the value itself. */
  field: string;
  reason: string;
}

/** A key as an error may show it: where it has the form of a name. Anything else could be a text, and shows as `*`. */
export function shownKey(key: string): string {
  return key.length <= FIELD_NAME_CHARS && /^[A-Za-z0-9_-]+$/.test(key) ? `.${key}` : '.*';
}

/** Whether a value stands for a count or a label of this name. Objects and lists are walked by the callers. */
function isAllowed(name: string, value: unknown): boolean {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value);
    case 'boolean':
      return true;
    case 'string':
      return LABEL_NAMES.has(name) && LABEL.test(value);
    default:
      return value === null || value === undefined;
  }
}

function isNameAllowed(name: string): boolean {
  return NAME.test(name) && !TEXT_NAMES.has(name);
}

/** Null when the usage object can hold counts and labels only, else what is wrong with it. */
export function findFault(usage: unknown): Fault | null {
  let values = 0;
  const walk = (value: unknown, name: string, depth: number): Fault | null => {
    if (++values > PROVIDER_USAGE_VALUES_COUNT) {
      return { field: '', reason: `must hold at most ${PROVIDER_USAGE_VALUES_COUNT} values` };
    }
    if (typeof value !== 'object' || value === null) {
      return isAllowed(name, value) ? null : { field: '', reason: 'must be a count: texts are not accepted here' };
    }
    if (depth > PROVIDER_USAGE_DEPTH_LEVELS) return { field: '', reason: 'is nested too deeply' };
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        const fault = walk(value[i], name, depth + 1);
        if (fault !== null) return { field: `[${i}]${fault.field}`, reason: fault.reason };
      }
      return null;
    }
    for (const key of Object.keys(value)) {
      if (!isNameAllowed(key)) return { field: shownKey(key), reason: 'is not the name of a count' };
      const fault = walk((value as Record<string, unknown>)[key], key, depth + 1);
      if (fault !== null) return { field: shownKey(key) + fault.field, reason: fault.reason };
    }
    return null;
  };
  if (typeof usage !== 'object' || usage === null || Array.isArray(usage)) {
    return { field: '', reason: "must be the provider's usage object" };
  }
  return walk(usage, '', 1);
}

/** A copy with counts and labels only; whatever else a response holds is left out. */
export function keepCounts(usage: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const keep = (value: unknown, name: string, depth: number): unknown => {
    if (typeof value !== 'object' || value === null) return isAllowed(name, value) ? value : undefined;
    if (depth > PROVIDER_USAGE_DEPTH_LEVELS) return undefined;
    if (Array.isArray(value)) {
      return value.map((entry) => keep(entry, name, depth + 1)).filter((entry) => entry !== undefined);
    }
    const kept: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const member = isNameAllowed(key) ? keep((value as Record<string, unknown>)[key], key, depth + 1) : undefined;
      if (member !== undefined) kept[key] = member;
    }
    return kept;
  };
  return keep(usage, '', 1) as Record<string, unknown>;
}
