import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PlanInput } from '../../src/contracts/plan.js';
import { readAction } from '../../src/invoicing/action-view.js';
import { readLineUsage } from '../../src/invoicing/line-usage.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { startTestApi, type TestApi } from '../support/http.js';
import { customer, publishBasics } from '../support/ledger.js';

describe('how the trail of an event says its charge came about', () => {
  let run: BillingRun;
  let api: TestApi;
  const OCTOBER = '2026-10-01';

  beforeAll(async () => {
    api = await startTestApi();
    run = await openBillingRun(api.pool);
    await publishBasics(run.pool);
  });
  afterAll(async () => {
    await run.end();
    await api.close();
  });

  /** A customer with 3 events of 1 million input tokens (3 dollars each), on these rules. */
  const open = async (id: string, rules: PlanInput['rules'], more: Partial<PlanInput> = {}) => {
    await publishPlan(run.pool, { plan_id: id, currency: 'usd', rules, ...more }, 'test');
    await customer(run.pool, id, { plan_id: id, currency: more.currency ?? 'usd' });
    const event = (event_id: string) => ({
      customer_id: id,
      event_id,
      occurred_at: '2026-10-10T00:00:00Z',
      feature: 'report',
      action_id: 'run',
      usage: { input_tokens: 1_000_000 },
    });
    await run.append([event('a'), event('b'), event('c')]);
  };
  const trailOf = (id: string) => readUsageTrail(run, id, 'a');
  const close = (id: string) => run.close({ customer_id: id, start_date: OCTOBER });

  it('a markup, a unit price and a fee charge the event by itself', async () => {
    await open('own', [{ markup: '0.25', fee_per_event: '0.10', fee_per_action: '1' }]);
    const trail = await trailOf('own');
    // 3 x 1.25 + 0.10; the fee for the action is of no single event.
    expect(trail).toMatchObject({ charge: '3.85', charge_currency: 'usd' });
    expect(trail.charges).toEqual([
      {
        meter: 'input_tokens',
        plan: { plan_id: 'own', version: 1 },
        rule: 0,
        priced_by: 'event',
        amounts: [
          { amount: '3.75', currency: 'usd' },
          { amount: '0.1', currency: 'usd' },
        ],
        counted: null,
        explanation:
          'The cost x (1 + 0.25), and 0.10 for the event, and 1 for each distinct action of the period, on a line of its own.',
        total: null,
      },
    ]);
  });

  it('graduated tiers have no charge for an event: the total, the tiers that it reached and its lines are shown', async () => {
    const graduated = [
      { up_to: '2000000', price: '1', per: 1_000_000 },
      { price: '0.5', per: 1_000_000 },
    ];
    await open('graduated', [{ match: { meter: 'input_tokens' }, graduated }, { markup: '0' }]);
    expect(await trailOf('graduated')).toMatchObject({
      charge: null,
      charges: [{ priced_by: 'total', amounts: [], counted: '1000000', total: null }],
    });
    await close('graduated');
    const trail = await trailOf('graduated');
    // 2 million at 1 for a million, the third at 0.5.
    expect(trail).toMatchObject({ charge: null, line: { number: 1 } });
    expect(trail.charges![0]).toMatchObject({
      explanation:
        'The units of the period by tiers, each tier at its own price: up to 2,000,000 at 1 for 1,000,000 units; beyond at 0.5 for 1,000,000 units.',
      counted: '1000000',
      total: {
        quantity: '3000000',
        unit: 'tokens',
        charge: '2.5',
        currency: 'usd',
        lines: [1, 2],
        tiers: [
          { above: '0', up_to: '2000000', quantity: '2000000', charge: '2' },
          { above: '2000000', up_to: null, quantity: '1000000', charge: '0.5' },
        ],
      },
    });
  });

  it('volume names the one tier that the total fell into, in the unit of the line', async () => {
    const volume = [
      { up_to: '2000000', price: '1', per: 1_000_000 },
      { price: '0.5', per: 1_000_000, flat_fee: '1' },
    ];
    await open('volume', [{ match: { meter: 'input_tokens' }, volume }, { markup: '0' }], {
      lines: { group_by: ['feature'], unit: { meter: 'input_tokens', name: '1M tokens', per: 1_000_000 } },
    });
    await close('volume');
    const [charge] = (await trailOf('volume')).charges!;
    expect(charge!.total).toEqual({
      quantity: '3',
      unit: '1M tokens',
      charge: '2.5',
      currency: 'usd',
      lines: [1],
      tiers: [{ above: '2', up_to: null, quantity: '3', charge: '2.5' }],
    });
  });

  it.each([
    [
      'package',
      { package: { size: '2', price: '10' }, count: 'events' as const },
      '1',
      '3',
      '20',
      '10 for each package of 2 events that the period begins.',
    ],
    ['flat', { flat: '7' }, null, '3000000', '7', '7 for all usage of the period together.'],
    [
      'actions',
      { unit_price: '0.40', count: 'actions' as const },
      null,
      '1',
      '0.4',
      '0.40 for each distinct action of the period.',
    ],
  ])('%s prices are for the total, and say so', async (id, rule, counted, quantity, charge, explanation) => {
    await open(id, [rule]);
    await close(id);
    const trail = await trailOf(id);
    expect(trail.charge).toBeNull();
    expect(trail.charges).toMatchObject([
      { priced_by: 'total', counted, explanation, total: { quantity, charge, lines: [1], tiers: [] } },
    ]);
  });

  it('a bound in another currency than the cost waits for the rate of the period’s end, and is applied then', async () => {
    const bounded = { match: { meter: 'input_tokens' }, markup: '0', floor_per_unit: { price: '5', per: 1_000_000 } };
    await open('bound', [bounded, { markup: '0' }], { currency: 'eur' });
    // A cost in dollars is no charge yet: whether 3 dollars are below 5 euros depends on the rate.
    expect(await trailOf('bound')).toMatchObject({ charge: null, charges: [{ priced_by: 'rate', amounts: [] }] });
    await api.call('POST', '/v1/exchange-rates', {
      body: {
        rates: [{ from: 'usd', to: 'eur', rate: '0.50', effective_from: '2026-01-01T00:00:00Z', source: 'test' }],
      },
    });
    await close('bound');
    expect(await trailOf('bound')).toMatchObject({
      charge: '5',
      charge_currency: 'eur',
      charges: [{ priced_by: 'event', amounts: [{ amount: '5', currency: 'eur' }] }],
    });
  });

  it('cost and fees of two currencies are no one number before the rate, and one after', async () => {
    await open('mixed', [{ markup: '0', fee_per_event: '1' }], { currency: 'chf' });
    expect(await trailOf('mixed')).toMatchObject({
      charge: null,
      charges: [
        {
          priced_by: 'event',
          amounts: [
            { amount: '3', currency: 'usd' },
            { amount: '1', currency: 'chf' },
          ],
        },
      ],
    });
    await api.call('POST', '/v1/exchange-rates', {
      body: {
        rates: [{ from: 'usd', to: 'chf', rate: '0.50', effective_from: '2026-01-01T00:00:00Z', source: 'test' }],
      },
    });
    await close('mixed');
    // 3 x 0.50 + 1.
    expect(await trailOf('mixed')).toMatchObject({ charge: '2.5', charge_currency: 'chf' });
  });

  it('answers over HTTP as described, and neither lines nor actions invent a charge', async () => {
    const answer = await api.call('GET', '/v1/usage/graduated/a');
    expect(answer).toMatchObject({ status: 200, body: { charge: null, charges: [{ total: { charge: '2.5' } }] } });
    const page = { cursor: null, limit: 10 };
    const behind = await readLineUsage(run, 'graduated', OCTOBER, 1, 1, page);
    expect(behind.data.map(({ charge }) => charge)).toEqual([null, null, null]);
    const action = await readAction(run, 'graduated', 'run', page);
    expect(action).toMatchObject({ calls_without_charge: 3, totals: [{ cost: '9', charge: '0', margin: null }] });
    const own = await readAction(run, 'own', 'run', page);
    expect(own).toMatchObject({ calls_without_charge: 0, totals: [{ charge: '11.55' }] });
  });
});
