import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { currentCatalogVersion } from '../../src/catalog/catalog-store.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { applyCommand } from '../../src/closing/commands.js';
import { endWaitForHeld } from '../../src/closing/held-at-close.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { beginClosing, sealClosing } from '../../src/closing/steps.js';
import { type CatalogVersionInput, catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { heldRequestSchema } from '../../src/contracts/held-request.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import type { Pool } from '../../src/database/pool.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { listHeldEvents } from '../../src/ledger/held-events.js';
import { countHeldModels, listHeldUsage } from '../../src/ledger/held-usage.js';
import { readHorizon } from '../../src/ledger/horizon.js';
import { placeWaitingUsage } from '../../src/ledger/place-usage.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readPricingInputs } from '../../src/ledger/pricing-inputs.js';
import { priceRange, readHead, readResult } from '../../src/ledger/pricing-runs.js';
import { readUnpriced } from '../../src/ledger/relay-reads.js';
import { resolveHeld } from '../../src/ledger/resolve-held.js';
import { readSeal, readSealablePeriod } from '../../src/ledger/seal.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, NOW_MS, publishBasics, settle, usageEvent } from '../support/ledger.js';

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let pool: Pool;
let catalogs: CatalogCache;
let deps: { pool: Pool; catalogs: CatalogCache };

beforeAll(async () => {
  database = await cloneDatabase();
  pool = database.pool;
  catalogs = new CatalogCache(pool);
  deps = { pool, catalogs };
  await publishBasics(pool);
});
afterAll(async () => database.drop());

const START = '2026-11-01';
const page = { cursor: null, limit: 50 };
const unknownModel = { model_id: 'mystery', provider: 'nobody' };

async function append(events: Parameters<typeof usageEvent>[0][]): Promise<void> {
  const appender = appenderOn(pool);
  await appender.append(events.map(usageEvent), { may_backfill: false });
  await appender.close();
  await settle(pool);
}

async function periodId(customerId: string, startDate = START): Promise<number> {
  return (await readPeriodRow(pool, { customer_id: customerId, start_date: startDate })).period_id;
}

async function priced(customerId: string) {
  const id = await periodId(customerId);
  const totals = await pricePeriod(deps, id);
  const head = (await readHead(pool, id))!;
  return { totals: totals!, result: await readResult(pool, id, head.inputs_hash) };
}

async function publish(catalog: Omit<CatalogVersionInput, 'note'>): Promise<void> {
  const body = catalogVersionSchema.parse({ note: 'what was missing', ...catalog });
  await publishCatalogVersion(pool, body, { actor: 'test', source: 'test' });
}

const resolve = (request: Record<string, unknown>, nowMs = NOW_MS + 1_000) =>
  resolveHeld(pool, heldRequestSchema.parse({ note: 'a test', ...request }), 'finance-key', nowMs);

const writeOff = { decision: { write_off: true } };
const billTokens = {
  decision: {
    bill: { prices: { input_tokens: { price: '1', per: 1_000 }, output_tokens: { price: '2', per: 1_000 } } },
  },
};

describe('what waits', () => {
  it('is listed by customer, period, reason and model, in pages, and counted over all customers', async () => {
    await customer(pool, 'list-a');
    await customer(pool, 'list-b');
    await append([
      { customer_id: 'list-a', event_id: 'e1', ...unknownModel },
      { customer_id: 'list-a', event_id: 'e2', ...unknownModel },
      { customer_id: 'list-a', event_id: 'e3', usage: { input_tokens: 5, images: 1 } },
      { customer_id: 'list-b', event_id: 'e1', ...unknownModel },
      { customer_id: 'list-b', event_id: 'e2' },
      { customer_id: 'nobody-yet', event_id: 'e1' },
    ]);
    await priced('list-a');
    await priced('list-b');

    const first = await listHeldUsage(pool, {}, { cursor: null, limit: 2 });
    const second = await listHeldUsage(pool, {}, { cursor: first.next_cursor, limit: 2 });
    expect(second.next_cursor).toBeNull();
    const open = { period_status: 'open', sealed: false, start_date: START, decisions: [], meter: null };
    const mystery = { reason: 'unknown_model', provider: 'nobody', model_id: 'mystery' };
    expect([...first.data, ...second.data]).toEqual([
      {
        ...open,
        customer_id: 'list-a',
        reason: 'no_price',
        provider: 'anthropic',
        model_id: 'claude-x',
        meter: 'images',
        events: 1,
      },
      { ...open, ...mystery, customer_id: 'list-a', events: 2 },
      { ...open, ...mystery, customer_id: 'list-b', events: 1 },
      {
        customer_id: 'nobody-yet',
        start_date: null,
        period_status: null,
        sealed: false,
        reason: 'unknown_customer',
        provider: 'anthropic',
        model_id: 'claude-x',
        meter: null,
        events: 1,
        decisions: [],
      },
    ]);
    expect((await listHeldUsage(pool, { customer_id: 'list-a', reason: 'no_price' }, page)).data).toHaveLength(1);
    expect((await countHeldModels(pool, {}, 1))[0]).toEqual({ ...mystery, meter: null, events: 3, customers: 2 });

    const events = await listHeldEvents(deps, 'list-a', START, null, page);
    expect(events.data.map(({ event_id, reason, meter }) => [event_id, reason, meter])).toEqual([
      ['e1', 'unknown_model', null],
      ['e2', 'unknown_model', null],
      ['e3', 'no_price', 'images'],
    ]);
    const waiting = await listHeldEvents(deps, 'nobody-yet', null, null, page);
    expect(waiting.data).toMatchObject([
      { event_id: 'e1', reason: 'unknown_customer', usage: { input_tokens: 1_000 } },
    ]);
  });

  it('waits no longer when a price or an alias is published: it is priced in its period', async () => {
    await customer(pool, 'published');
    await append([
      { customer_id: 'published', event_id: 'e1', provider: 'late', model_id: 'model-1' },
      { customer_id: 'published', event_id: 'e2', provider: 'late', model_id: 'nickname' },
    ]);
    expect((await priced('published')).totals).toMatchObject({ events: 2, held_events: 2, cost: '0' });
    const price = { provider: 'late', model_id: 'model-1', effective_from: '2026-01-01T00:00:00Z', price: '0.01' };
    await publish({ prices: ['input_tokens', 'output_tokens'].map((meter) => ({ ...price, meter })) });
    expect((await priced('published')).totals).toMatchObject({ held_events: 1, cost: '12' });
    await publish({ aliases: [{ provider: 'late', alias: 'nickname', model_id: 'model-1' }] });
    expect((await priced('published')).totals).toMatchObject({ events: 2, held_events: 0, cost: '24', charge: '30' });
  });
});

describe('a decision', () => {
  it('bills at the stated price in the period, without touching anything else', async () => {
    await customer(pool, 'bill');
    await append([
      { customer_id: 'bill', event_id: 'e1', ...unknownModel },
      { customer_id: 'bill', event_id: 'e2' },
    ]);
    expect((await priced('bill')).totals).toMatchObject({ held_events: 1, cost: '0.006' });
    const answer = await resolve({ customer_id: 'bill', model_id: 'mystery', ...billTokens });
    expect(answer).toMatchObject({
      applied: true,
      decisions: [{ customer_id: 'bill', start_date: START, sealed: false }],
    });

    // The relay sees a period that was priced without the decision, until it is priced with it.
    const waiting = async () => (await readUnpriced(pool, await readHorizon(pool), 60)).map((row) => row.period_id);
    await pool.query('UPDATE periods SET opened_at = now()');
    const id = await periodId('bill');
    expect(await waiting()).toContain(id);
    expect((await priced('bill')).totals).toMatchObject({ events: 2, held_events: 0, cost: '1.406', charge: '1.7575' });
    expect(await waiting()).not.toContain(id);

    const trail = await readUsageTrail(deps, 'bill', 'e1');
    const decisionId = answer.decisions[0]!.decision_id;
    expect(trail).toMatchObject({ status: 'accepted', held_reason: null, cost: '1.4', decision: decisionId });
    expect(trail.price?.rows[0]).toMatchObject({ price_id: `decision:${decisionId}`, price: '1', per: 1_000 });
    const { rows } = await pool.query(
      `SELECT actor, customer_id, detail->>'note' AS note FROM audit_log WHERE action = 'usage.resolve_held' AND customer_id = 'bill'`,
    );
    expect(rows).toEqual([{ actor: 'finance-key', customer_id: 'bill', note: 'a test' }]);
  });

  it('covers what was there and not what comes later', async () => {
    await customer(pool, 'later');
    await append([{ customer_id: 'later', event_id: 'e1', ...unknownModel }]);
    await priced('later');
    await resolve({ customer_id: 'later', reason: 'unknown_model', ...writeOff }, NOW_MS);
    const appender = appenderOn(pool, { now: () => NOW_MS + 1 });
    await appender.append([usageEvent({ customer_id: 'later', event_id: 'e2', ...unknownModel })], {
      may_backfill: false,
    });
    await appender.close();
    await settle(pool);
    const { totals, result } = await priced('later');
    expect(totals).toMatchObject({ events: 2, held_events: 1 });
    expect(result.written_off).toMatchObject([{ events: 1, reason: 'unknown_model' }]);
    expect(await readUsageTrail(deps, 'later', 'e1')).toMatchObject({
      status: 'written_off',
      cost: null,
      charge: null,
    });
  });

  it('can be about events one by one, and a newer one replaces it', async () => {
    await customer(pool, 'single');
    await append(['e1', 'e2'].map((event_id) => ({ customer_id: 'single', event_id, ...unknownModel })));
    await priced('single');
    await resolve({ customer_id: 'single', event_ids: ['e2'], ...writeOff });
    expect((await priced('single')).totals).toMatchObject({ events: 2, held_events: 1, cost: '0' });
    await resolve({ customer_id: 'single', event_ids: ['e2'], ...billTokens });
    expect((await priced('single')).totals).toMatchObject({ held_events: 1, cost: '1.4' });
    // A price of the catalog comes before any decision: what is not held needs none.
    await publish({
      prices: ['input_tokens', 'output_tokens'].map((meter) => ({
        provider: 'nobody',
        model_id: 'mystery',
        meter,
        price: '1',
        per: 1_200,
        effective_from: '2026-01-01T00:00:00Z',
      })),
    });
    expect((await priced('single')).totals).toMatchObject({ held_events: 0, cost: '2' });
    await publish({
      prices: ['input_tokens', 'output_tokens'].map((meter) => ({
        provider: 'nobody',
        model_id: 'mystery',
        meter,
        price: null,
        effective_from: '2026-01-01T00:00:00Z',
        supersede: true,
      })),
    });
    expect((await priced('single')).totals).toMatchObject({ held_events: 1, cost: '1.4' });
  });

  it('about usage of no period is a write-off of exactly these events, wherever they are placed', async () => {
    await append(['e1', 'e2'].map((event_id) => ({ customer_id: 'stranger', event_id })));
    await expect(resolve({ customer_id: 'stranger', ...billTokens })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    const answer = await resolve({ customer_id: 'stranger', event_ids: ['e1'], ...writeOff });
    expect(answer.decisions).toMatchObject([{ start_date: null, sealed: false }]);
    expect((await listHeldUsage(pool, { customer_id: 'stranger' }, page)).data).toMatchObject([{ events: 1 }]);
    expect(await readUsageTrail(deps, 'stranger', 'e1')).toMatchObject({ status: 'written_off', period: null });
    await customer(pool, 'stranger');
    await placeWaitingUsage(pool, 'stranger', NOW_MS);
    await settle(pool);
    const { totals, result } = await priced('stranger');
    expect(totals).toMatchObject({ events: 2, held_events: 0, cost: '0.006' });
    expect(result.written_off).toMatchObject([{ events: 1 }]);
  });

  it('is taken once for each request id, and refused where nothing matches', async () => {
    await customer(pool, 'again');
    await append([{ customer_id: 'again', event_id: 'e1', ...unknownModel }]);
    await priced('again');
    const request = { customer_id: 'again', request_id: 'decide-1', ...writeOff };
    const [first, second] = await Promise.all([resolve(request), resolve(request)]);
    expect([first.applied, second.applied].sort()).toEqual([false, true]);
    expect(first.decisions).toEqual(second.decisions);
    await expect(resolve({ ...request, note: 'another' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(resolve({ customer_id: 'again', reason: 'split_call', ...writeOff })).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(resolve({ customer_id: 'again', event_ids: ['e1', 'lost'], ...writeOff })).rejects.toMatchObject({
      code: 'unknown_event',
    });
    await expect(pool.query(`UPDATE held_decisions SET note = 'changed'`)).rejects.toThrow('immutable');
  });
});

describe('pricing again what a change touches', () => {
  it('gives the document that pricing everything from the start gives', async () => {
    await publishBasics(pool, {
      plan_id: 'mixed',
      rules: [
        { match: { feature: 'chat' }, markup: '0', cost_basis: 'reported' },
        { match: { paid_by: 'customer' }, markup: '0', fee_per_event: '0.01' },
        { markup: '0.25' },
      ],
    });
    await customer(pool, 'mixed', { plan_id: 'mixed' });
    const models = ['claude-x', 'mixed-1', 'mixed-2', 'mixed-3'];
    await append(
      Array.from({ length: 48 }, (_, at) => ({
        customer_id: 'mixed',
        event_id: `m${String(at).padStart(2, '0')}`,
        model_id: models[at % 4]!,
        ...(at % 3 === 0 ? { feature: 'chat' } : {}),
        ...(at % 5 === 0 ? { paid_by: 'customer' as const } : {}),
        ...(at % 2 === 0 ? { reported_cost: { amount: '0.0123', currency: 'usd' } } : {}),
      })),
    );
    const id = await periodId('mixed');
    const fromStart = async () => {
      const period = (await readSealablePeriod(pool, id))!;
      const version = await currentCatalogVersion(pool);
      const now = await readPricingInputs(pool, period, version);
      const range = { period_id: id, from_xid: 0n, to_xid: 2n ** 62n };
      return priceRange(pool, await catalogs.at(version), now.inputs, now, range);
    };
    const prices = (model_id: string, price: string) => ({
      prices: ['input_tokens', 'output_tokens'].map((meter) => ({
        provider: 'anthropic',
        model_id,
        meter,
        price,
        per: 1_000,
        effective_from: '2026-01-01T00:00:00Z',
      })),
    });
    const changes: (() => Promise<unknown>)[] = [
      async () => {},
      () => publish(prices('mixed-1', '0.002')),
      () => resolve({ customer_id: 'mixed', model_id: 'mixed-2', ...billTokens }),
      () => resolve({ customer_id: 'mixed', event_ids: ['m06', 'm07'], ...writeOff }),
      () => publish(prices('mixed-3', '0.004')),
      () => resolve({ customer_id: 'mixed', event_ids: ['m07', 'm10'], ...billTokens }),
      () => publish(prices('mixed-2', '0.001')),
    ];
    for (const change of changes) {
      await change();
      const { totals, result } = await priced('mixed');
      expect(result).toEqual(await fromStart());
      expect(totals.events).toBe(48);
    }
  });
});

describe('a period that ends with held usage', () => {
  const ref = (customer_id: string): PeriodRef => ({ customer_id, start_date: START });
  const END = new Date('2026-12-01T01:00:00Z');
  const command = (request_id: string) => ({ request_id, actor: 'finance-key', reason: null });

  async function heldCustomer(id: string, plan: Partial<PlanInput>): Promise<void> {
    await publishBasics(pool, { plan_id: id, ...plan });
    await customer(pool, id, { plan_id: id });
    await append([
      { customer_id: id, event_id: 'e1', provider: 'nobody', model_id: 'stranger' },
      { customer_id: id, event_id: 'e2' },
    ]);
  }

  it('closes without it by default; what resolves it later makes it late usage, and the seal stays', async () => {
    await heldCustomer('close', {});
    await beginClosing(deps, ref('close'), END);
    expect((await sealClosing(deps, ref('close'))).status).toBe('sealed');
    const seal = (await readSeal(pool, await periodId('close')))!;
    await pricePeriod(deps, await periodId('close'));
    expect((await listHeldUsage(pool, { customer_id: 'close' }, page)).data).toMatchObject([
      { sealed: true, events: 1 },
    ]);
    expect(await readUsageTrail(deps, 'close', 'e1')).toMatchObject({ status: 'held', held_reason: 'unknown_model' });

    const answer = await resolve({ customer_id: 'close', model_id: 'stranger', ...billTokens });
    expect(answer.decisions).toMatchObject([{ sealed: true }]);
    const trail = await readUsageTrail(deps, 'close', 'e1');
    expect(trail).toMatchObject({
      status: 'late',
      cost: '1.4',
      line: null,
      decision: answer.decisions[0]!.decision_id,
    });
    const { totals } = await priced('close');
    expect(totals).toMatchObject({ held_events: 1, cost: '0.006' });
    expect(await readSeal(pool, await periodId('close'))).toEqual(seal);
  });

  it('pins a decision that was made before the seal', async () => {
    await heldCustomer('pinned', {});
    await priced('pinned');
    const { decisions } = await resolve({ customer_id: 'pinned', model_id: 'stranger', ...billTokens });
    await beginClosing(deps, ref('pinned'), END);
    await sealClosing(deps, ref('pinned'));
    const seal = (await readSeal(pool, await periodId('pinned')))!;
    expect(seal.inputs.pricing.decisions).toEqual([decisions[0]!.decision_id]);
    expect(seal.inputs.decisions).toMatchObject([{ decision_id: decisions[0]!.decision_id, model_id: 'stranger' }]);
    expect((await priced('pinned')).totals).toMatchObject({ held_events: 0, cost: '1.406' });
  });

  it('waits for as long as the plan says, and no longer', async () => {
    await heldCustomer('wait', { on_held: 'wait', held_wait: 'P2D' });
    const until = new Date('2026-12-03T01:00:00Z');
    const waiting = await beginClosing(deps, ref('wait'), END);
    expect(waiting).toMatchObject({ status: 'open', seals_at_ms: until.getTime() });
    expect(await beginClosing(deps, ref('wait'), new Date(until.getTime() - 1))).toMatchObject({ status: 'open' });
    expect(await beginClosing(deps, ref('wait'), until)).toMatchObject({ status: 'closing' });
    const { rows } = await pool.query(
      `SELECT detail FROM period_timeline WHERE period_id = $1 AND kind = 'waiting_for_held'`,
      [await periodId('wait')],
    );
    expect(rows).toEqual([{ detail: { events: 1, until: until.toISOString() } }]);
  });

  it('goes on at once when what it waits for is resolved', async () => {
    await heldCustomer('resolved', { on_held: 'wait' });
    await beginClosing(deps, ref('resolved'), END);
    await resolve({ customer_id: 'resolved', model_id: 'stranger', ...writeOff });
    const { totals } = await priced('resolved');
    await endWaitForHeld(pool, await readPeriodRow(pool, ref('resolved')), totals.held_events);
    expect(await beginClosing(deps, ref('resolved'), END)).toMatchObject({ status: 'closing' });
  });

  it('stops for a person, who resolves it or releases the period to close without it', async () => {
    await heldCustomer('stop', { on_held: 'stop' });
    await beginClosing(deps, ref('stop'), END);
    const stopped = await sealClosing(deps, ref('stop'));
    expect(stopped).toMatchObject({ status: 'parked', status_reason: 'held usage waits for a person: 1 events' });
    expect((await applyCommand(deps, ref('stop'), 'release', command('go-on'))).status).toBe('closing');
    expect((await sealClosing(deps, ref('stop'))).status).toBe('sealed');
  });

  it('stops a close that finance asked for as well, and does not once nothing waits', async () => {
    await heldCustomer('early', { on_held: 'stop' });
    await applyCommand(deps, ref('early'), 'close', command('close-early'));
    expect((await sealClosing(deps, ref('early'))).status).toBe('parked');
    await resolve({ customer_id: 'early', model_id: 'stranger', ...billTokens });
    await applyCommand(deps, ref('early'), 'release', command('go-on-early'));
    expect((await sealClosing(deps, ref('early'))).status).toBe('sealed');
    expect((await priced('early')).totals).toMatchObject({ held_events: 0, cost: '1.406' });
  });
});
