import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CommandAnswer, StatusAnswer } from '../../src/contracts/engine.js';
import type { InvoiceView } from '../../src/contracts/invoice.js';
import type { PeriodView } from '../../src/contracts/period.js';
import type { EventResult } from '../../src/contracts/usage-event.js';
import type { UsageTrail } from '../../src/invoicing/usage-trail.js';
import { safeAnchorDay } from '../support/small-journey.js';
import { ApiProblem, TestStack, waitFor } from '../support/stack.js';
import { type Computed, computeInvoice, isPriced, type Price, type Terms, type Used } from './second-computation.js';
import {
  changedPrices,
  FIRST_PRICES,
  lastPrices,
  numbers,
  type OwnRow,
  ofOwn,
  ownPricesAt,
  type Sent,
  timesOf,
  usageOf,
} from './usage-of-a-month.js';

/*
 * A month of usage becomes invoices, over the public doors alone: the HTTP API, the workflow's query, and what Stripe
 * (the stand-in) holds in the end. Every amount is compared with a second computation that shares no code with src.
 */

const BATCH_EVENTS = 100;
const NOW_MS = Date.now();
const TIMES = timesOf(NOW_MS);
const ANCHOR_DAY = safeAnchorDay(NOW_MS);

interface Case {
  plan: Record<string, unknown> & { plan_id: string };
  terms: Omit<Terms, 'covered'>;
}
const shared = { currency: 'usd', aggregation_window: 'PT1S' };
const HYBRID: Omit<Terms, 'covered'> = {
  rules: [{ provider: 'anthropic', margin: '0.30' }, { markup: '0.25' }],
  base_fee: '49.00',
  allowance: '5.00',
  group_by: ['subscription_item_id'],
};
const CASES: Record<'acme' | 'globex' | 'initech' | 'hooli', Case> = {
  acme: {
    plan: { plan_id: 'markup', ...shared, rules: [{ markup: '0.30' }], lines: { group_by: ['model_id'] } },
    terms: { rules: [{ markup: '0.30' }], group_by: ['model_id'] },
  },
  globex: {
    plan: { plan_id: 'margin', ...shared, rules: [{ margin: '0.30' }], lines: { group_by: ['feature'] } },
    terms: { rules: [{ margin: '0.30' }], group_by: ['feature'] },
  },
  initech: {
    plan: {
      plan_id: 'hybrid',
      ...shared,
      rules: [{ match: { provider: 'anthropic' }, margin: '0.30' }, { markup: '0.25' }],
      base_fee: '49.00',
      allowance: { charge: '5.00' },
      lines: { group_by: ['subscription_item_id'] },
    },
    terms: HYBRID,
  },
  // Its usage comes first, the customer afterwards.
  hooli: {
    plan: { plan_id: 'whole', ...shared, rules: [{ markup: '1.5' }], lines: { group_by: ['feature', 'model_id'] } },
    terms: { rules: [{ markup: '1.5' }], group_by: ['feature', 'model_id'] },
  },
};
const CUSTOMERS = Object.keys(CASES) as (keyof typeof CASES)[];

let stack: TestStack;
const sent = usageOf(CUSTOMERS, TIMES);
/** Versions of the test's own prices, in the order of their publication. */
const published: OwnRow[][] = [];
/** Answers by event, in the order in which they came. */
const answers = new Map<string, string[]>();

beforeAll(async () => {
  stack = await TestStack.start();
  await publish(FIRST_PRICES);
  for (const { plan } of Object.values(CASES)) await stack.post('/v1/plans', plan);
  for (const customer of CUSTOMERS)
    if (customer !== 'hooli') await makeCustomer(customer, CASES[customer].plan.plan_id);
}, 180_000);
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await stack.showLogsOnce();
});
afterAll(() => stack?.stop());

async function publish(prices: OwnRow[]): Promise<number> {
  const { version } = await stack.post<{ version: number }>('/v1/catalog/versions', { note: 'a test', prices });
  published.push(prices);
  return version;
}

function makeCustomer(customer: string, plan_id: string, more: object = {}): Promise<unknown> {
  return stack.put(`/v1/customers/${customer}`, { currency: 'usd', plan_id, anchor_day: ANCHOR_DAY, ...more });
}

const keyOf = ({ event }: Sent) => `${event.customer_id} ${event.event_id}`;
const startDates = new Map<string, string>();

async function pathOf(customer: string): Promise<string> {
  let start = startDates.get(customer);
  if (start === undefined) {
    const { data } = await stack.get<{ data: PeriodView[] }>(`/v1/periods?customer_id=${customer}`);
    const at = new Date(TIMES.change_ms).toISOString();
    start = data.find(({ period }) => period.start <= at && at < period.end)!.start_date;
    startDates.set(customer, start);
  }
  return `/v1/periods/${customer}/${start}`;
}
const viewOf = async (customer: string) => stack.get<PeriodView>(await pathOf(customer));

/** Sends usage in shuffled batches, four at a time, some events twice and some batches again as they were. */
async function deliver(usage: Sent[], seed: number): Promise<void> {
  const random = numbers(seed);
  const twice = usage.filter(() => random(20) === 0);
  const all = [...usage, ...twice];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  const batches = Array.from({ length: Math.ceil(all.length / BATCH_EVENTS) }, (_, i) =>
    all.slice(i * BATCH_EVENTS, (i + 1) * BATCH_EVENTS),
  );
  const sender = async () => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      const events = batch.map(({ event }) => event);
      const message = `msg_${seed}_${batches.length}`;
      note(batch, await stack.sendUsage(events, message));
      if (random(8) > 0) continue;
      const again = await stack.sendUsage(events, message);
      expect(new Set(again.map(({ status }) => status))).toEqual(new Set(['duplicate']));
    }
  };
  await Promise.all([sender(), sender(), sender(), sender()]);
}

function note(batch: Sent[], results: EventResult[]): void {
  expect(results.map(({ event_id }) => event_id)).toEqual(batch.map(({ event }) => event.event_id));
  for (const [i, { status, reason }] of results.entries()) {
    const key = keyOf(batch[i]!);
    answers.set(key, [...(answers.get(key) ?? []), reason === undefined ? status : `${status} ${reason}`]);
  }
}

// ---- the second computation ------------------------------------------------------------------------------------------

interface PriceAnswer {
  provider: string;
  rows: Price[];
}
const asked = new Map<string, Promise<PriceAnswer | null>>();

/** The prices in force by the API's word; null where it knows none. */
function pricesAt(provider: string, model: string, atMs: number): Promise<PriceAnswer | null> {
  const query = new URLSearchParams({ provider, model_id: model, at: new Date(atMs).toISOString() });
  let answer = asked.get(query.toString());
  if (answer === undefined) {
    answer = stack.get<PriceAnswer>(`/v1/catalog/price?${query}`).catch((error: unknown) => {
      if (error instanceof ApiProblem && error.status === 404) return null;
      throw error;
    });
    asked.set(query.toString(), answer);
  }
  return answer;
}

/** What the event costs by the published prices, or null where it has to be held. */
async function usedBy(event: Sent): Promise<Used | null> {
  if (event.meters === null) return null;
  const { model_id, meters, groups, paid_by_customer } = event;
  if (event.own) {
    const used = {
      provider: 'mason',
      model_id,
      meters,
      groups,
      paid_by_customer,
      prices: ownPricesAt(published, model_id, event.at_ms),
    };
    return isPriced(used) ? used : null;
  }
  const prices = await pricesAt(event.provider, model_id, event.at_ms);
  if (prices === null) return null;
  const used = { provider: prices.provider, model_id, meters, groups, paid_by_customer, prices: prices.rows };
  return isPriced(used) ? used : null;
}

const WHOLE = { ms: 1, of_ms: 1 };

async function compute(customer: keyof typeof CASES): Promise<Computed & { events: number; held: number }> {
  const events = sent.filter(({ event }) => event.customer_id === customer);
  const used = await Promise.all(events.map(usedBy));
  const priced = used.filter((use) => use !== null);
  const invoice = computeInvoice({ ...CASES[customer].terms, covered: WHOLE }, priced);
  return { ...invoice, events: events.length, held: events.length - priced.length };
}

function linesOf(invoice: InvoiceView): Computed['lines'] {
  return invoice.lines.map(({ kind, group, events, quantity, cost, charge, amount }) => ({
    kind,
    group,
    events,
    quantity,
    cost,
    charge,
    amount,
  }));
}

async function expectAtStripe(customer: string, invoice: InvoiceView): Promise<void> {
  const held = await stack.standInInvoices(customer, invoice.start_date);
  expect(held).toHaveLength(1);
  const cents = (amount: string) => Number(amount.replace('.', ''));
  expect(held[0]).toMatchObject({
    id: invoice.stripe_invoice_id,
    status: 'open',
    currency: 'usd',
    subtotal: cents(invoice.total),
    total: cents(invoice.total),
    metadata: { costplus_hash: invoice.content_hash },
  });
  expect(held[0]!.lines.map(({ amount, description }) => ({ amount, description }))).toEqual(
    invoice.lines.map(({ amount, description }) => ({ amount: cents(amount), description })),
  );
}

async function invoiced(customer: string): Promise<InvoiceView> {
  await waitFor(`${customer} is invoiced`, async (progress) => {
    const { status, status_reason } = await viewOf(customer);
    progress(`${status} (${status_reason})`);
    return status === 'invoiced' || null;
  });
  return stack.get<InvoiceView>(`${await pathOf(customer)}/invoices/1`);
}

// ---- the journey -----------------------------------------------------------------------------------------------------

test('usage arrives in any order, several times, before and after a price changes: each event is taken once', async () => {
  const random = numbers(7);
  const early = sent.filter(() => random(2) === 0);
  const later = sent.filter((event) => !early.includes(event));
  await deliver(early, 1);
  await publish(changedPrices(TIMES));
  await deliver(later, 2);

  expect(answers.size).toBe(sent.length);
  for (const event of sent) {
    const all = answers.get(keyOf(event))!;
    const firsts = all.filter((answer) => answer !== 'duplicate');
    const used = event.event.customer_id === 'hooli' ? undefined : await usedBy(event);
    const expected =
      used === undefined ? 'held unknown_customer' : used === null ? expect.stringMatching(/^held/) : 'accepted';
    expect(firsts, keyOf(event)).toEqual([expected]);
  }
  expect(sent.length).toBeGreaterThan(3_900);
});

test('another payload under a known id is a conflict and changes nothing', async () => {
  const others = sent.slice(0, 20).map(({ event }) => ({ ...event, request_id: 'another' }));
  const results = await stack.sendUsage(others);
  expect(results).toEqual(others.map(({ event_id }) => ({ event_id, status: 'conflict', reason: 'other_payload' })));
});

test('what waited for its customer is placed once the customer is there', async () => {
  await makeCustomer('hooli', CASES.hooli.plan.plan_id);
  const expected = sent.filter(({ event }) => event.customer_id === 'hooli').length;
  await waitFor('the usage of hooli is placed and priced', async (progress) => {
    const { totals } = await viewOf('hooli');
    progress(`${totals?.events ?? 0} of ${expected}`);
    return totals?.events === expected || null;
  });
});

test('a price that was missing and a price that was wrong are taken in while the period is open', async () => {
  const waiting = sent.find(({ model_id }) => model_id === 'newcomer')!;
  expect(answers.get(keyOf(waiting))![0]).toMatch(/^held/);
  await publish(lastPrices(TIMES));
  asked.clear();
  for (const customer of CUSTOMERS) {
    const expected = await compute(customer);
    const totals = await waitFor(`${customer} is priced at the newest version`, async (progress) => {
      const view = await viewOf(customer);
      progress(JSON.stringify(view.totals));
      return view.totals?.cost === expected.cost ? view.totals : null;
    });
    expect(totals).toMatchObject({ charge: expected.charge, events: expected.events, held_events: expected.held });
    // Enough of both, else the comparison would say little.
    expect(expected.held).toBeGreaterThan(20);
    expect(expected.events - expected.held).toBeGreaterThan(700);
  }
});

test('the workflow answers the same totals as the API while the period is open', async () => {
  const connection = await Connection.connect({ address: stack.info.temporal_address });
  try {
    const { workflow } = new Client({ connection });
    for (const customer of CUSTOMERS) {
      const view = await viewOf(customer);
      const handle = workflow.getHandle(`billing-period/${customer}/${view.start_date}`);
      // The activity has written its totals; its answer may still be on the way to the workflow.
      const answer = await waitFor(`the workflow of ${customer} has heard the totals`, async () => {
        const said = await handle.query<StatusAnswer>('status');
        return said.totals?.priced_at === view.totals?.priced_at ? said : null;
      });
      expect(answer).toEqual({
        customer_id: customer,
        start_date: view.start_date,
        status: 'open',
        status_reason: null,
        seals_at: view.seals_at,
        totals: view.totals,
      });
    }
  } finally {
    await connection.close();
  }
});

describe('the trail of an event', () => {
  const sampled = sent.filter(({ model_id }) => model_id === 'shifting');
  const trailOf = (event: Sent) =>
    stack.get<UsageTrail>(`/v1/usage/${event.event.customer_id}/${event.event.event_id}`);

  test('names the catalog version and the price row of its instant, to the millisecond', async () => {
    const newest = (await stack.get<{ data: { version: number }[] }>('/v1/catalog/versions')).data[0]!.version;
    const seen = new Set<string>();
    for (const offset of [-1, 0, 1]) {
      for (const event of sampled.filter(({ at_ms }) => at_ms === TIMES.change_ms + offset).slice(0, 4)) {
        const { price, period } = await trailOf(event);
        expect(price).toMatchObject({
          catalog_version: newest,
          provider: 'mason',
          priced_as: 'shifting',
          how: 'exact',
        });
        const inForce = await pricesAt('mason', 'shifting', event.at_ms);
        const input = price!.rows.find(({ meter }) => meter === 'input_tokens')!;
        expect(input).toMatchObject({
          price: offset < 0 ? '3.00' : '5.00',
          quantity: String(event.meters!.input_tokens),
        });
        expect(inForce!.rows).toContainEqual(
          expect.objectContaining({ price_id: input.price_id, meter: 'input_tokens', price: input.price }),
        );
        expect(period).toMatchObject({ start_date: startDates.get(event.event.customer_id) });
        seen.add(String(event.event.occurred_at).replace(/^.*(?=\.)/, ''));
      }
    }
    // Whole milliseconds, digits below them, and another zone.
    expect(seen.size).toBeGreaterThanOrEqual(4);
  });

  test('says why an event is held', async () => {
    const ghost = sent.find(({ model_id }) => model_id === 'ghost')!;
    expect(await trailOf(ghost)).toMatchObject({
      status: 'held',
      held_reason: 'unknown_model',
      price: null,
      cost: null,
    });
    const impossible = sent.find(({ meters }) => meters === null)!;
    expect(await trailOf(impossible)).toMatchObject({ status: 'held', held_reason: 'impossible_counts', price: null });
  });
});

describe.each(CUSTOMERS)('closing the period of %s', (customer) => {
  let preview: InvoiceView;
  let invoice: InvoiceView;

  test('the preview is the second computation, line by line and to the cent', async () => {
    preview = await stack.get(`${await pathOf(customer)}/preview`);
    const expected = await compute(customer);
    expect(linesOf(preview)).toEqual(expected.lines);
    expect(preview).toMatchObject({
      total: expected.total,
      subtotal: expected.total,
      cost: expected.cost,
      status: 'open',
    });
  });

  test('the invoice is the preview, and Stripe holds exactly it', async () => {
    const closed = await stack.post<CommandAnswer>(`${await pathOf(customer)}/close`, {
      request_id: `close-${customer}`,
    });
    expect(closed).toMatchObject({ status: 'closing', applied: true });
    invoice = await invoiced(customer);
    const { status: _s, payment_status: _p, ...content } = preview;
    const {
      stripe_invoice_id: _i,
      stripe_status: _t,
      stripe_number: _n,
      hosted_invoice_url: _h,
      stripe_total: _a,
      stripe_to_balance: _b,
      ...composed
    } = content;
    expect(invoice).toMatchObject(composed);
    await expectAtStripe(customer, invoice);
  });

  test('the period says what it came to, what was held, and how it got there', async () => {
    const view = await viewOf(customer);
    const { held } = await compute(customer);
    expect(view).toMatchObject({ status: 'invoiced', late_events: 0, plan: { plan_id: CASES[customer].plan.plan_id } });
    expect(view.held.reduce((sum, { events }) => sum + events, 0)).toBe(held);
    expect(view.held).toContainEqual(expect.objectContaining({ reason: 'unknown_model', model_id: 'ghost' }));
    expect(view.invoices).toEqual([
      expect.objectContaining({
        revision: 1,
        content_hash: invoice.content_hash,
        stripe_invoice_id: invoice.stripe_invoice_id,
        total: invoice.total,
        currency: 'usd',
      }),
    ]);
    const steps = view.timeline.map(({ kind, detail }) => (kind === 'status' ? detail.to : kind));
    const way = ['opened', 'closing', 'sealed', 'composed', 'submitting', 'confirmed', 'invoiced'];
    expect(steps.filter((step) => way.includes(String(step)))).toEqual(way);
  });

  test('an event names its line and its invoice now', async () => {
    const event = sent.find(
      ({ model_id, event: { customer_id } }) => model_id === 'steady' && customer_id === customer,
    )!;
    const trail = await stack.get<UsageTrail>(`/v1/usage/${customer}/${event.event.event_id}`);
    expect(trail.invoice).toEqual({
      revision: 1,
      content_hash: invoice.content_hash,
      stripe_invoice_id: invoice.stripe_invoice_id,
    });
    const line = invoice.lines[trail.line!.number - 1]!;
    expect(trail.line).toMatchObject({ description: line.description, amount: line.amount });
    const groups: Record<string, string | null> = { model_id: 'steady', ...event.groups };
    for (const [name, value] of Object.entries(line.group)) expect(value).toBe(groups[name]);
  });

  test('what arrives afterwards is late and moves nothing', async () => {
    const usage = { model_id: 'steady', meters: { input_tokens: 5_000_000 } };
    const at = { text: new Date(TIMES.change_ms).toISOString(), ms: TIMES.change_ms };
    const late = ofOwn({ event_id: 'too-late', customer_id: customer }, usage, at, {
      feature: null,
      subscription_item_id: null,
    });
    expect(await stack.sendUsage([late.event])).toEqual([{ event_id: 'too-late', status: 'late' }]);
    expect(await stack.sendUsage([late.event])).toEqual([{ event_id: 'too-late', status: 'duplicate' }]);
    expect((await viewOf(customer)).late_events).toBe(1);
    expect(await stack.get<InvoiceView>(`${await pathOf(customer)}/invoices/1`)).toMatchObject({
      content_hash: invoice.content_hash,
      total: invoice.total,
    });
  });

  test('closing again under the same request id answers the same and bills nothing', async () => {
    const again = await stack.post<CommandAnswer>(`${await pathOf(customer)}/close`, {
      request_id: `close-${customer}`,
    });
    expect(again.status).toBe('closing');
    const other = stack.post(`${await pathOf(customer)}/close`, { request_id: `another-${customer}` });
    await expect(other).rejects.toMatchObject({ problem: { type: 'urn:costplus:error:wrong_status' } });
    await expectAtStripe(customer, await invoiced(customer));
  });
});

test('a period without usage and fees ends as nothing to bill', async () => {
  await makeCustomer('umbrella', 'markup');
  await stack.post(`${await pathOf('umbrella')}/close`, {});
  await waitFor('umbrella is done', async () => (await viewOf('umbrella')).status === 'nothing_to_bill' || null);
  expect(await stack.standInInvoices('umbrella', startDates.get('umbrella')!)).toEqual([]);
});

test('a period closes by itself when its end and its grace have passed', async () => {
  const startsAt = NOW_MS - 5 * 86_400_000;
  // Late enough for a busy machine to send the usage before the period seals.
  const endsAt = Date.now() + 8_000;
  await stack.post('/v1/plans', { ...CASES.initech.plan, plan_id: 'timed', grace: 'PT1S' });
  await makeCustomer('wayne', 'timed', {
    starts_at: new Date(startsAt).toISOString(),
    ends_at: new Date(endsAt).toISOString(),
  });
  startDates.set('wayne', new Date(startsAt).toISOString().slice(0, 10));
  const groups = { feature: null, subscription_item_id: 'si_seats' };
  const event = (name: string, ms: number) =>
    ofOwn(
      { event_id: name, customer_id: 'wayne' },
      { model_id: 'steady', meters: { input_tokens: 1_234_567, output_tokens: 89 } },
      { text: new Date(ms).toISOString(), ms },
      groups,
    );
  const inside = [event('first', startsAt), event('middle', endsAt - 3_600_000), event('last', endsAt - 1)];
  const outside = [event('before', startsAt - 1), event('at-the-end', endsAt)];
  const results = await stack.sendUsage([...inside, ...outside].map(({ event: body }) => body));
  expect(results.map(({ status, reason }) => reason ?? status)).toEqual([
    ...inside.map(() => 'accepted'),
    ...outside.map(() => 'outside_billing'),
  ]);

  const invoice = await invoiced('wayne');
  const used = (await Promise.all(inside.map(usedBy))).filter((use) => use !== null);
  expect(used).toHaveLength(3);
  const expected = computeInvoice({ ...HYBRID, covered: { ms: endsAt - startsAt, of_ms: monthAround(endsAt) } }, used);
  expect(linesOf(invoice)).toEqual(expected.lines);
  expect(invoice.total).toBe(expected.total);
  expect(invoice.period).toEqual({ start: new Date(startsAt).toISOString(), end: new Date(endsAt).toISOString() });
  await expectAtStripe('wayne', invoice);
  const { timeline } = await viewOf('wayne');
  const closing = timeline.find(({ detail }) => detail.to === 'closing')!;
  expect(Date.parse(closing.at)).toBeGreaterThanOrEqual(endsAt + 1_000);
});

/** Milliseconds of the month from anchor day to anchor day in which an instant lies. */
function monthAround(ms: number): number {
  const at = new Date(ms);
  const start = (month: number) => Date.UTC(at.getUTCFullYear(), month, ANCHOR_DAY);
  const month = start(at.getUTCMonth()) <= ms ? at.getUTCMonth() : at.getUTCMonth() - 1;
  return start(month + 1) - start(month);
}
