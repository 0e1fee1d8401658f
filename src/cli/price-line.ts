import type { Catalog } from '../catalog/catalog.js';
import { MODEL_PATTERN } from '../contracts/ids.js';
import { type Quantities, USAGE_FORMATS, type UsageFormat } from '../contracts/usage-event.js';
import { add, type Fraction, format, ZERO } from '../money/fraction.js';
import type { Held } from '../pricing/find-prices.js';
import { type PricedEvent, priceEvent } from '../pricing/price-event.js';
import type { HeldReason, UsageRow } from '../pricing/pricing-result.js';
import { eventTimeMs } from '../usage/event-time.js';
import { detectFormat, FORMAT_OWNER, fromResponse, normaliseUsage } from '../usage/normalise.js';
import { parseUsageEvent } from '../usage/parse-event.js';
import { toUsageEvent } from '../usage/usage-event.js';

export type LineId = string | number | null;

/** Exact decimal strings. `total` also has what is neither input nor output, such as web searches. */
export interface LineCost {
  total: string;
  input: string;
  output: string;
  currency: string;
}

/** What `costplus price` writes for one line of its input. */
export interface PricedLine {
  id: LineId;
  provider: string;
  model_id: string;
  priced_as: string;
  catalog_version: number;
  usage: Quantities;
  /** The customer's own provider key paid: it costs us nothing. Left out where we did. */
  paid_by?: 'customer';
  /** The service tier for which base prices stand in; left out where there is none. */
  unpriced_tier?: string;
  cost: LineCost;
  /** Further models that worked on the response; `cost` has them in it. */
  others?: Omit<PricedLine, 'id' | 'catalog_version' | 'others'>[];
}
export interface HeldLine {
  id: LineId;
  held: { reason: string; detail: string };
  /** What was read of the counts; left out where they could not be. */
  usage?: Quantities;
}

/** The reason of a line that could not be read: it is not JSON, or neither a usage event nor a response. */
export const REJECTED = 'rejected';

/**
 * Prices one line: a usage event, or `{id?, provider?, model_id?, format?, occurred_at?, body}` with a provider's
 * response as `body`. `atMs` is the time of what names none. Received values other than ids are not repeated.
 */
export function priceLine(catalog: Catalog, text: string, atMs: number): PricedLine | HeldLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return rejected(null, 'The line is not JSON.');
  }
  if (!isObject(value)) return rejected(null, 'The line is not a JSON object.');
  return 'body' in value ? priceResponse(catalog, value, atMs) : priceUsageEvent(catalog, value, atMs);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function rejected(id: LineId, detail: string): HeldLine {
  return { id, held: { reason: REJECTED, detail } };
}

/** Who is billed has no say in a cost, so an event need not name its customer here, nor itself, nor its time. */
function priceUsageEvent(catalog: Catalog, value: Record<string, unknown>, atMs: number): PricedLine | HeldLine {
  const id = typeof value.event_id === 'string' ? value.event_id : null;
  const whole = { event_id: '-', customer_id: '-', occurred_at: new Date(atMs).toISOString(), ...value };
  const parsed = parseUsageEvent(whole, '');
  if ('rejected' in parsed) {
    const { field, reason } = parsed.rejected;
    return rejected(id, `${field.replace(/^\./, '') || 'The event'} ${reason}.`);
  }
  const event = toUsageEvent(parsed.event, { source_id: null, default_provider: null });
  if (event.usage === null) return impossibleLine(id, event.held_reason);
  const priced = priceForUs(catalog, event);
  return 'held' in priced ? heldLine(id, priced.held, event.usage) : pricedLine(id, event, priced);
}

/** What an event costs us: nothing where the customer paid the provider, whether or not the catalog has a price. */
function priceForUs(catalog: Catalog, row: UsageRow): PricedEvent | { held: Held } {
  const priced = priceEvent(catalog, row);
  if (row.paid_by === null) return priced;
  const nothing = { meters: [], total: ZERO, input: ZERO, output: ZERO, unpriced_tier: null };
  if (!('held' in priced)) return { ...priced, ...nothing };
  const provider = row.provider ?? row.provider_hint ?? 'unknown';
  const model = { provider, priced_as: row.model_id, how: 'exact' } as const;
  return { model, catalog_version: catalog.version, currency: 'usd', ...nothing };
}

const RESPONSE_KEYS = new Set(['id', 'provider', 'model_id', 'format', 'occurred_at', 'body']);

function priceResponse(catalog: Catalog, line: Record<string, unknown>, atMs: number): PricedLine | HeldLine {
  const id = typeof line.id === 'string' || typeof line.id === 'number' ? line.id : null;
  for (const key of Object.keys(line)) if (!RESPONSE_KEYS.has(key)) return rejected(id, `${key} is not a known field.`);
  for (const key of ['provider', 'model_id']) {
    const name = line[key];
    if (name !== undefined && !(typeof name === 'string' && MODEL_PATTERN.test(name))) {
      return rejected(id, `${key} must be the name of a model or provider, at most 200 characters.`);
    }
  }
  const usageFormat = line.format ?? detectFormat(line.body);
  if (usageFormat === null) return rejected(id, 'The format cannot be told from the body: name it in "format".');
  if (!isFormat(usageFormat)) return rejected(id, `format must be one of ${USAGE_FORMATS.join(', ')}.`);
  const givenMs = line.occurred_at === undefined ? atMs : eventTimeMs(String(line.occurred_at));
  if (givenMs === null) return rejected(id, 'occurred_at must be an RFC 3339 time with a zone.');
  const response = fromResponse(usageFormat, line.body);
  if (response === null) return rejected(id, 'The body holds no usage.');

  const modelId = (line.model_id as string | undefined) ?? response.model_id;
  const provider = (line.provider as string | undefined) ?? null;
  if (modelId === null) {
    const counts = normaliseUsage(usageFormat, response.provider_usage.usage, null, provider);
    if ('impossible' in counts) return impossibleLine(id, counts.impossible);
    const because = 'The body names no model: give it as "model_id".';
    return heldLine(id, { reason: 'unknown_model', meter: null }, counts.usage, because);
  }
  const parts = [{ model_id: modelId, provider_usage: response.provider_usage }, ...(response.others ?? [])];
  const lines: PricedLine[] = [];
  const events: PricedEvent[] = [];
  for (const part of parts) {
    const counts = normaliseUsage(usageFormat, part.provider_usage.usage, part.model_id, provider);
    if ('impossible' in counts) return impossibleLine(id, counts.impossible);
    const row: UsageRow & { usage: Quantities } = {
      ...NO_ATTRIBUTES,
      provider,
      provider_hint: FORMAT_OWNER[usageFormat],
      model_id: part.model_id,
      occurred_at_ms: givenMs,
      usage: counts.usage,
      service_tier: response.service_tier ?? counts.service_tier ?? null,
      region: counts.region ?? null,
      paid_by: counts.paid_by ?? null,
    };
    const priced = priceForUs(catalog, row);
    if ('held' in priced) return heldLine(id, priced.held, counts.usage);
    events.push(priced);
    lines.push(pricedLine(id, row, priced));
  }
  const [first, ...others] = lines;
  if (others.length === 0) return first!;
  // All models of one response are of one provider, whose prices are in one currency.
  const cost = costOf(events.reduce(addCosts));
  return { ...first!, cost, others: others.map(({ id: _id, catalog_version: _version, ...other }) => other) };
}

/** What an event of the ledger has beside what decides its cost. */
const NO_ATTRIBUTES: Omit<UsageRow, 'occurred_at_ms' | 'provider' | 'provider_hint' | 'model_id' | 'usage'> = {
  event_id: '-',
  source_id: null,
  held_reason: null,
  feature: null,
  subscription_item_id: null,
  region: null,
  service_tier: null,
  dimensions: null,
  marks: null,
  paid_by: null,
  reported_cost: null,
};

function isFormat(value: unknown): value is UsageFormat {
  return USAGE_FORMATS.some((known) => known === value);
}

type Costs = Pick<PricedEvent, 'total' | 'input' | 'output' | 'currency'>;

function addCosts(a: PricedEvent, b: PricedEvent): PricedEvent {
  return { ...a, total: add(a.total, b.total), input: add(a.input, b.input), output: add(a.output, b.output) };
}

function costOf({ total, input, output, currency }: Costs): LineCost {
  const decimal = (amount: Fraction) => format(amount);
  return { total: decimal(total), input: decimal(input), output: decimal(output), currency };
}

function pricedLine(
  id: LineId,
  { model_id, usage, paid_by }: Pick<UsageRow, 'model_id' | 'paid_by'> & { usage: Quantities | null },
  priced: PricedEvent,
): PricedLine {
  return {
    id,
    provider: priced.model.provider,
    model_id,
    priced_as: priced.model.priced_as,
    catalog_version: priced.catalog_version,
    usage: usage ?? {},
    ...(paid_by === null ? {} : { paid_by }),
    ...(priced.unpriced_tier === null ? {} : { unpriced_tier: priced.unpriced_tier }),
    cost: costOf(priced),
  };
}

const HELD_DETAILS: Readonly<Record<HeldReason, string>> = {
  unknown_model: 'The catalog has no such model.',
  ambiguous_provider: 'More than one provider has the model: name the provider.',
  no_price: 'The catalog has no price for the model at that time.',
  impossible_counts: 'The counts cannot be true.',
  unknown_customer: 'There is no such customer.',
  outside_billing: 'The time is outside the billing of the customer.',
  being_placed: 'The usage is on its way to its billing period.',
  context_size_unknown: 'The price depends on the size of the whole input, which is not known.',
  split_call: 'The model has a fee for each call, and the event is one half of a call.',
};

function heldLine(id: LineId, { reason, meter }: Held, usage: Quantities | null, because?: string): HeldLine {
  const missing = meter === null ? undefined : `The catalog has no price of ${meter} for the model at that time.`;
  const held = { reason, detail: because ?? missing ?? HELD_DETAILS[reason] };
  return { id, held, ...(usage === null ? {} : { usage }) };
}

function impossibleLine(id: LineId, why: string | null): HeldLine {
  const because = why === null ? undefined : `The counts cannot be true: ${why}.`;
  return heldLine(id, { reason: 'impossible_counts', meter: null }, null, because);
}
