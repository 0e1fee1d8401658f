import { allowsFractions } from '../contracts/meters.js';
import {
  ID_PATTERN,
  LABEL_PATTERN,
  METER_PATTERN,
  MODEL_PATTERN,
  PAYERS,
  USAGE_FORMATS,
} from '../contracts/patterns.js';
import type { ReceivedUsageEvent } from '../contracts/usage-event.js';
import { DIMENSIONS_COUNT, FEATURES_COUNT, METERS_PER_EVENT_COUNT, QUANTITY_MAX_UNITS } from '../limits.js';
import { detectFormat } from './detect-format.js';
import { eventTimeMs } from './event-time.js';
import { type Fault, findFault, shownKey } from './provider-usage.js';

/**
 * Every event passes here, most of them on the hot path of ingest, so `usageEventSchema` is checked by hand, in one
 * walk and without a copy. A test compares both. Faults name the path of a field and never what it held.
 */
type Check = (value: unknown) => Fault | null;

const FORMATS: ReadonlySet<unknown> = new Set(USAGE_FORMATS);
const PAYER_NAMES: ReadonlySet<unknown> = new Set(PAYERS);
const UNSIGNED_DECIMAL = /^\d{1,15}(\.\d{1,24})?$/;
const SIGNATURE = /^v1,[A-Za-z0-9+/]{43}=$/;
const CURRENCY = /^[a-z]{3}$/;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(reason: string, field = ''): Fault {
  return { field, reason };
}

function text(pattern: RegExp, reason: string): Check {
  const refused = fault(reason);
  return (value) => (typeof value === 'string' && pattern.test(value) ? null : refused);
}

const id = text(ID_PATTERN, 'must be 1 to 128 of A-Z a-z 0-9 . _ : -');
const model = text(MODEL_PATTERN, 'must be the name of a model or provider, at most 200 characters');
const label = text(LABEL_PATTERN, 'must be 1 to 128 characters without control characters');
const decimal = text(UNSIGNED_DECIMAL, 'must be a decimal string such as "0.25"');
const currency = text(CURRENCY, 'must be a lower-case ISO 4217 code such as "usd"');

const occurredAt: Check = (value) =>
  typeof value === 'string' && eventTimeMs(value) !== null
    ? null
    : fault('must be an RFC 3339 time with a zone, in the years 2000 to 2100');

function checkQuantity(meter: string, value: unknown): Fault | null {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return null;
    return fault(
      allowsFractions(meter)
        ? 'must be a whole number, or a decimal string where it has a fraction'
        : `must be a whole number from 0 to ${QUANTITY_MAX_UNITS}`,
    );
  }
  if (!allowsFractions(meter)) return fault('must be a whole number: this meter takes no decimal string');
  return decimal(value);
}

const usage: Check = (value) => {
  if (!isObject(value)) return fault('must be an object of meters');
  const meters = Object.keys(value);
  if (meters.length > METERS_PER_EVENT_COUNT) return fault(`must have at most ${METERS_PER_EVENT_COUNT} meters`);
  for (const meter of meters) {
    if (!METER_PATTERN.test(meter)) {
      return fault('is not the name of a meter: lower-case letters, digits and _', shownKey(meter));
    }
    const found = checkQuantity(meter, value[meter]);
    if (found !== null) return fault(found.reason, shownKey(meter));
  }
  return null;
};

const dimensions: Check = (value) => {
  if (!isObject(value)) return fault('must be an object of labels');
  const names = Object.keys(value);
  if (names.length > DIMENSIONS_COUNT) return fault(`must have at most ${DIMENSIONS_COUNT} dimensions`);
  for (const name of names) {
    // `__proto__` fits the pattern of ids, and would be no key like others in the objects that it passes through.
    if (!ID_PATTERN.test(name) || name === '__proto__') return fault('is not the name of a dimension', shownKey(name));
    const found = label(value[name]);
    if (found !== null) return fault(found.reason, shownKey(name));
  }
  return null;
};

const features: Check = (value) => {
  if (!Array.isArray(value)) return fault('must be a list of labels');
  if (value.length > FEATURES_COUNT) return fault(`must have at most ${FEATURES_COUNT} features`);
  for (let i = 0; i < value.length; i++) {
    const found = label(value[i]);
    if (found !== null) return fault(found.reason, `[${i}]`);
  }
  return null;
};

/** The fields of a closed object, and which of them must be there. */
function closed(fields: Readonly<Record<string, Check>>, required: readonly string[]): Check {
  const checks: ReadonlyMap<string, Check> = new Map(Object.entries(fields));
  return (value) => {
    if (!isObject(value)) return fault('must be an object');
    for (const key of Object.keys(value)) {
      const check = checks.get(key);
      if (check === undefined) return fault('is not a known field', shownKey(key));
      if (value[key] === undefined) continue;
      const found = check(value[key]);
      if (found !== null) return fault(found.reason, `.${key}${found.field}`);
    }
    for (const key of required) {
      if (value[key] === undefined) return fault('is missing', `.${key}`);
    }
    return null;
  };
}

const usageEvent = closed(
  {
    event_id: id,
    customer_id: id,
    provider: model,
    model_id: model,
    occurred_at: occurredAt,
    usage,
    provider_usage: closed(
      {
        format: (value) => (FORMATS.has(value) ? null : fault(`must be one of ${USAGE_FORMATS.join(', ')}`)),
        usage: findFault,
      },
      ['usage'],
    ),
    request_id: label,
    subscription_item_id: id,
    feature: label,
    action_id: id,
    region: label,
    service_tier: label,
    features,
    dimensions,
    reported_cost: closed({ amount: decimal, currency }, ['amount', 'currency']),
    paid_by: (value) => (PAYER_NAMES.has(value) ? null : fault(`must be one of ${PAYERS.join(', ')}`)),
    reservation_id: id,
    signature: text(SIGNATURE, 'must be "v1," and the base64 of an HMAC-SHA256'),
  },
  ['event_id', 'customer_id', 'model_id', 'occurred_at'],
);

/**
 * A usage event as received, or the field at fault and what it must be. `path` names the event in its request
 * (`events[3]`). The schema is closed, and a reason never holds a received value (invariant 6).
 * An event without any quantity is an event: it costs nothing, and its id is taken.
 */
export function parseUsageEvent(
  value: unknown,
  path: string,
): { event: ReceivedUsageEvent } | { rejected: { field: string; reason: string } } {
  const found = usageEvent(value);
  if (found !== null) return { rejected: { field: path + found.field, reason: found.reason } };
  const event = value as ReceivedUsageEvent;
  if ((event.usage === undefined) === (event.provider_usage === undefined)) {
    return { rejected: { field: `${path}.usage`, reason: 'must have exactly one of usage and provider_usage' } };
  }
  const provided = event.provider_usage;
  if (provided !== undefined && provided.format === undefined && detectFormat(provided.usage) === null) {
    const reason = 'is missing, and the usage could be of more than one format or of none';
    return { rejected: { field: `${path}.provider_usage.format`, reason } };
  }
  return { event };
}
