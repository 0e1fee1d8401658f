import { type Recorded, recordedUsage } from './recorded-usage.js';
import type { Price } from './second-computation.js';

const DAY_MS = 86_400_000;
const ROUNDS = 18;
const OWN_EVENTS = 1_200;

/** A price row of the test's own models, as it is published. */
export type OwnRow = Price & { provider: string; model_id: string; effective_from: string };

/** An event as it is sent, with what the second computation has to know of it. */
export interface Sent {
  event: Record<string, unknown> & { event_id: string; customer_id: string };
  provider: string;
  model_id: string;
  at_ms: number;
  /** Null: impossible counts. */
  meters: Record<string, number | string> | null;
  groups: Record<string, string | null>;
  paid_by_customer: boolean;
  own: boolean;
}

/** The instants of the journey: everything happens in the ten days before now. */
export interface Times {
  now_ms: number;
  /** From here on new prices are in force. */
  change_ms: number;
}

export function timesOf(nowMs: number): Times {
  return { now_ms: nowMs, change_ms: Math.floor((nowMs - 3 * DAY_MS) / 60_000) * 60_000 };
}

const ALWAYS = '2020-01-01T00:00:00Z';
const row = (model_id: string, meter: string, more: Partial<OwnRow>): OwnRow => ({
  provider: 'mason',
  model_id,
  meter,
  per: 1_000_000,
  effective_from: ALWAYS,
  ...more,
});

/** What is known when the month begins. */
export const FIRST_PRICES: OwnRow[] = [
  row('steady', 'input_tokens', { price: '3.00' }),
  row('steady', 'output_tokens', { price: '15.00' }),
  row('steady', 'cache_read_tokens', { same_as: 'input_tokens' }),
  row('shifting', 'input_tokens', { price: '3.00' }),
  row('shifting', 'output_tokens', { price: '9.00' }),
  row('long', 'input_tokens', { price: '1.25' }),
  row('long', 'input_tokens', { price: '2.50', context_over: 200_000 }),
  row('session', 'browser_seconds', { price: '0.107', per: 60 }),
];

/** Published while usage arrives: a price changes at an instant within the month. */
export function changedPrices({ change_ms }: Times): OwnRow[] {
  return [row('shifting', 'input_tokens', { price: '5.00', effective_from: new Date(change_ms).toISOString() })];
}

/** Published when all usage is there: a model that was unknown, and a correction of a price in use. */
export function lastPrices({ change_ms }: Times): OwnRow[] {
  return [
    row('newcomer', 'input_tokens', { price: '0.40' }),
    row('newcomer', 'output_tokens', { price: '1.70' }),
    row('steady', 'output_tokens', { price: '14.5', effective_from: new Date(change_ms).toISOString() }),
  ];
}

/** The own rows in force at an instant: in a slot the newest version counts, then the latest `effective_from`. */
export function ownPricesAt(versions: OwnRow[][], model: string, atMs: number): OwnRow[] {
  const slots = new Map<string, OwnRow>();
  for (const version of versions) {
    const inForce = version
      .filter(({ model_id, effective_from }) => model_id === model && Date.parse(effective_from) <= atMs)
      .sort((a, b) => Date.parse(a.effective_from) - Date.parse(b.effective_from));
    for (const price of inForce) slots.set(`${price.meter} ${price.context_over ?? ''}`, price);
  }
  return [...slots.values()];
}

/** Whole numbers that look random and are the same in every run. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const FEATURES = ['chat', 'report', 'search', null];
const ITEMS = ['si_seats', 'si_agents', null];

/** The month's usage of some customers: recorded answers of providers, and events of the test's own models. */
export function usageOf(customers: string[], times: Times): Sent[] {
  const random = numbers(20_261_124);
  const pick = <T>(values: readonly T[]): T => values[random(values.length)]!;
  // Few instants, so that the prices of each have to be asked for once.
  const instants = [9, 6, 2].map((days) => times.now_ms - days * DAY_MS);
  const recorded = recordedUsage();
  const sent: Sent[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, sample] of recorded.entries()) {
      const id = { event_id: `recorded-${round}-${index}`, customer_id: pick(customers) };
      sent.push(ofRecorded(id, sample, pick(instants), { feature: pick(FEATURES), subscription_item_id: pick(ITEMS) }));
    }
  }
  for (let index = 0; index < OWN_EVENTS; index++) {
    const id = { event_id: `own-${index}`, customer_id: pick(customers) };
    const groups = { feature: pick(FEATURES), subscription_item_id: pick(ITEMS) };
    sent.push(ofOwn(id, ownModel(index, random), instantOf(times, random), groups));
  }
  return sent;
}

type Id = { event_id: string; customer_id: string };
type Groups = Record<'feature' | 'subscription_item_id', string | null>;

function ofRecorded(id: Id, sample: Recorded, atMs: number, groups: Groups): Sent {
  const { provider, model_id, format, usage, meters } = sample;
  const event = { ...id, provider, model_id, occurred_at: new Date(atMs).toISOString(), ...present(groups) };
  return {
    event: { ...event, provider_usage: { format, usage } },
    provider,
    model_id,
    at_ms: atMs,
    meters,
    groups,
    paid_by_customer: sample.paid_by_customer,
    own: false,
  };
}

/** An event of one of the test's own models; `at` is the text that is sent and the millisecond that it belongs to. */
export function ofOwn(
  id: Id,
  use: { model_id: string; meters: Record<string, number | string> },
  at: { text: string; ms: number },
  groups: Groups,
): Sent {
  const { model_id, meters } = use;
  const event = { ...id, provider: 'mason', model_id, occurred_at: at.text, usage: meters, ...present(groups) };
  return { event, provider: 'mason', model_id, at_ms: at.ms, meters, groups, paid_by_customer: false, own: true };
}

function ownModel(
  index: number,
  random: (below: number) => number,
): { model_id: string; meters: Record<string, number | string> } {
  const [input, output] = [1 + random(90_000), 1 + random(9_000)];
  switch (index % 8) {
    case 0:
    case 1:
    case 2:
      return { model_id: 'shifting', meters: { input_tokens: input, output_tokens: output } };
    case 3:
      return { model_id: 'steady', meters: { input_tokens: input, cache_read_tokens: output, output_tokens: output } };
    case 4:
      // On both sides of the cliff, which the whole input decides.
      return { model_id: 'long', meters: { input_tokens: 199_990 + random(20), output_tokens: 0 } };
    case 5:
      return { model_id: 'session', meters: { browser_seconds: `${1 + random(600)}.${random(1_000)}` } };
    case 6:
      return { model_id: 'newcomer', meters: { input_tokens: input, output_tokens: output } };
    default:
      return { model_id: 'ghost', meters: { input_tokens: input } };
  }
}

/** Around the change of prices to the millisecond, written in several ways; and somewhere in the days around it. */
function instantOf({ change_ms }: Times, random: (below: number) => number): { text: string; ms: number } {
  const text = (ms: number) => new Date(ms).toISOString();
  switch (random(6)) {
    case 0:
      return { text: text(change_ms - 1), ms: change_ms - 1 };
    case 1:
      // Digits below the millisecond do not round up into the new price.
      return { text: text(change_ms - 1).replace('Z', '999999Z'), ms: change_ms - 1 };
    case 2:
      return { text: text(change_ms), ms: change_ms };
    case 3:
      return { text: text(change_ms + 1 + 2 * 3_600_000).replace('Z', '+02:00'), ms: change_ms + 1 };
    default: {
      const ms = change_ms + random(4 * DAY_MS) - 2 * DAY_MS;
      return { text: text(ms), ms };
    }
  }
}

function present(groups: Groups): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).filter((entry): entry is [string, string] => entry[1] !== null));
}
