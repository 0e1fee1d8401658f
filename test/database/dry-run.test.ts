import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { type DryRunPeriod, dryRunSchema } from '../../src/contracts/dry-run.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { dryRun } from '../../src/invoicing/dry-runs.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

const OCTOBER = '2026-10-01';
const NOVEMBER = '2026-11-01';
/** A million input tokens: $3.00 of cost at catalog version 1, $4.00 at version 2. */
const USAGE = { input_tokens: 1_000_000 };

describe('dry runs', () => {
  let run: BillingRun;
  let plans: { one: number; two: number };
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const plan = { plan_id: 'pro', currency: 'usd' };
    // Version 1 of `pro` is a markup of 25%.
    const two = await publishPlan(run.pool, { ...plan, rules: [{ markup: '0.5' }], base_fee: '20.00' }, 'test');
    await publishPlan(run.pool, { plan_id: 'euro', currency: 'eur', rules: [{ markup: '0.1' }] }, 'test');
    plans = { one: 1, two: two.version };
    for (const id of ['open', 'sealed', 'other']) await make(id);
    await run.close({ customer_id: 'sealed', start_date: OCTOBER });
    const price = {
      provider: 'anthropic',
      model_id: 'claude-x',
      meter: 'input_tokens',
      per: 1_000_000,
      currency: 'usd',
    };
    const prices = [{ ...price, price: '4.00', effective_from: '2020-01-01T00:00:00Z', supersede: true }];
    const version = catalogVersionSchema.parse({ note: 'a correction', prices });
    await publishCatalogVersion(run.pool, version, { actor: 'test', source: 'test' });
  });
  afterAll(() => run.end());

  async function make(id: string): Promise<void> {
    await customer(run.pool, id, { plan_version: 1 });
    const events = [OCTOBER, NOVEMBER].map((start, index) => ({
      customer_id: id,
      event_id: `own-${index}`,
      occurred_at: `${start.slice(0, 7)}-10T00:00:00Z`,
      usage: USAGE,
      action_id: 'a1',
    }));
    expect(await run.append(events)).toEqual(['accepted', 'accepted']);
  }

  const ask = (body: object) => dryRun(run, dryRunSchema.parse(body));
  const one = async (ref: PeriodRef, change: object): Promise<DryRunPeriod> => (await ask({ ...ref, change })).data[0]!;
  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: OCTOBER });
  const november = (customer_id: string): PeriodRef => ({ customer_id, start_date: NOVEMBER });
  const event = (customer_id: string, event_id: string, more: object = {}) => ({
    event_id,
    customer_id,
    provider: 'anthropic',
    model_id: 'claude-x',
    occurred_at: '2026-11-12T00:00:00Z',
    usage: USAGE,
    ...more,
  });

  it('say what an open period would be under another plan version, line by line', async () => {
    const result = await one(november('open'), { plan: { plan_id: 'pro', version: plans.two } });
    // At the newest prices: $4.00 x 1.25 = $5.00, and $4.00 x 1.5 + $20.00 = $26.00.
    expect(result).toMatchObject({
      status: 'open',
      before: { total: '5.00', revision: null, catalog_version: 2 },
      after: { total: '26.00', plans: [{ plan_id: 'pro', version: plans.two, from: null }] },
      difference: '21.00',
      error: null,
    });
    expect(result.lines).toEqual([
      { description: 'claude-x · 1,000,000 tokens (1 call)', before: '5.00', after: '6.00', difference: '1.00' },
      { description: 'Base fee · pro', before: '0.00', after: '20.00', difference: '20.00' },
    ]);
  });

  it('of a sealed period start from what it was sealed with', async () => {
    // $3.00: the correction of prices came after the seal.
    const plan = { plan_id: 'pro', version: plans.two };
    expect(await one(october('sealed'), { plan })).toMatchObject({
      status: 'invoiced',
      before: { total: '3.75', revision: 1, catalog_version: 1 },
      after: { total: '24.50', catalog_version: 1 },
      difference: '20.75',
    });
    expect(await one(october('sealed'), { catalog_version: 2 })).toMatchObject({
      before: { total: '3.75' },
      after: { total: '5.00', catalog_version: 2 },
      difference: '1.25',
    });
  });

  it('leave out of a sealed period what came late', async () => {
    expect(await run.append([event('sealed', 'late', { occurred_at: '2026-10-20T00:00:00Z' })])).toEqual(['late']);
    expect(await one(october('sealed'), { catalog_version: 1 })).toMatchObject({ difference: '0.00', lines: [] });
  });

  it('compose what a close composes: the same bytes when nothing is different', async () => {
    const { invoice } = await one(october('sealed'), { plan: { plan_id: 'pro', version: plans.one } });
    const issued = await run.newest(october('sealed'));
    expect(issued).toMatchObject({ ...invoice });
    const now = await one(november('open'), { catalog_version: 2 });
    expect(await previewInvoice(run, 'open', NOVEMBER)).toMatchObject({ ...now.invoice });
  });

  it('take a plan that is not published, as its next version', async () => {
    const inline_plan = {
      plan_id: 'pro',
      currency: 'usd',
      rules: [{ match: { meter: 'input_tokens' }, count: 'actions', unit_price: '0.40' }, { markup: '0' }],
    };
    const result = await one(november('open'), { inline_plan });
    expect(result.after).toMatchObject({ total: '0.40', plans: [{ plan_id: 'pro', version: plans.two + 1 }] });
    await expect(one(november('open'), { inline_plan: { ...inline_plan, rules: [] } })).rejects.toThrow();
    const margin = { ...inline_plan, rules: [{ margin: '1' }] };
    await expect(one(november('open'), { inline_plan: margin })).rejects.toMatchObject({ code: 'invalid_plan' });
    const { rows } = await run.pool.query('SELECT FROM plan_versions WHERE plan_id = $1', ['pro']);
    expect(rows).toHaveLength(plans.two);
  });

  it('count events in that are not there, once each, and keep none of them', async () => {
    const events = [
      event('open', 'more-1'),
      event('open', 'more-1'),
      event('open', 'own-1'),
      event('open', 'other-month', { occurred_at: '2026-10-12T00:00:00Z' }),
      event('other', 'other-customer'),
    ];
    const result = await one(november('open'), { events });
    expect(result).toMatchObject({ events_added: 1, after: { total: '10.00' }, difference: '5.00' });
    expect(result.events_left_out).toEqual([
      { reason: 'other_customer', events: 1 },
      { reason: 'other_period', events: 1 },
      { reason: 'repeated', events: 1 },
      { reason: 'in_ledger', events: 1 },
    ]);
    expect(await previewInvoice(run, 'open', NOVEMBER)).toMatchObject({ total: '5.00' });
    const unpriced = event('open', 'unknown', { model_id: 'nobody-knows' });
    expect((await one(november('open'), { events: [unpriced] })).after).toMatchObject({
      total: '5.00',
      held_events: 1,
    });
    const prompt = { ...event('open', 'more-2'), prompt: 'hello' };
    await expect(one(november('open'), { events: [prompt] })).rejects.toMatchObject({
      code: 'invalid_event',
      field: 'change.events[0].prompt',
    });
  });

  it('count actions of added events with those that are there', async () => {
    const rules = [{ match: { meter: 'input_tokens' }, count: 'actions', unit_price: '0.40' }, { markup: '0' }];
    const inline_plan = { plan_id: 'by-action', currency: 'usd', rules };
    const events = [event('open', 'same', { action_id: 'a1' }), event('open', 'new', { action_id: 'a2' })];
    expect((await one(november('open'), { inline_plan, events })).after?.total).toBe('0.80');
  });

  describe('of a range', () => {
    const change = () => ({ plan: { plan_id: 'pro', version: plans.two } });

    it('say the difference for each customer, and the sums', async () => {
      const page = await ask({ from: OCTOBER, change: change() });
      expect(page.data.map(({ customer_id, start_date, difference }) => [customer_id, start_date, difference])).toEqual(
        [
          ['open', OCTOBER, '21.00'],
          ['other', OCTOBER, '21.00'],
          ['sealed', OCTOBER, '20.75'],
        ],
      );
      expect(page.totals).toEqual([
        { currency: 'usd', periods: 3, failed: 0, before: '13.75', after: '76.50', difference: '62.75' },
      ]);
      expect(page.data.every(({ invoice }) => invoice === null)).toBe(true);
    });

    it('come in pages that together are the whole, each period once', async () => {
      const range = { from: OCTOBER, to: '2026-12-01', change: change() };
      const whole = await ask(range);
      const periods: DryRunPeriod[] = [];
      let cursor: string | undefined;
      do {
        const page = await ask({ ...range, limit: 2, cursor });
        periods.push(...page.data);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      expect(periods).toEqual(whole.data);
      expect(periods).toHaveLength(6);
      await expect(ask({ ...range, cursor: 'cDE' })).rejects.toMatchObject({
        code: 'invalid_request',
        field: 'cursor',
      });
    });

    it('hold one customer, or those on one plan', async () => {
      const names = async (body: object) =>
        (await ask({ from: OCTOBER, change: change(), ...body })).data.map(({ customer_id }) => customer_id);
      expect(await names({ customer_id: 'other' })).toEqual(['other']);
      expect(await names({ on_plan: 'euro' })).toEqual([]);
      expect(await names({ on_plan: 'pro' })).toHaveLength(3);
    });

    it('go on where one period fails, which says why', async () => {
      const page = await ask({ from: OCTOBER, change: { plan: { plan_id: 'euro' } } });
      expect(page.data[0]).toMatchObject({ before: null, after: null, error: { code: 'invalid_plan' } });
      expect(page.totals).toMatchObject([{ periods: 3, failed: 3, difference: '0.00' }]);
    });
  });

  it.each([
    ['an unknown plan', { plan: { plan_id: 'none' } }, 'unknown_plan'],
    ['an unknown version', { plan: { plan_id: 'pro', version: 99 } }, 'unknown_plan'],
    ['an unknown catalog version', { catalog_version: 99 }, 'not_found'],
    ['a plan in another currency', { plan: { plan_id: 'euro' } }, 'invalid_plan'],
  ])('refuse %s', async (_name, change, code) => {
    await expect(one(november('open'), change)).rejects.toMatchObject({ code });
  });

  it.each([
    ['nothing that is different', { ...{ customer_id: 'open', start_date: NOVEMBER }, change: {} }],
    ['no time', { change: { catalog_version: 1 } }],
    [
      'a period and a range',
      { customer_id: 'open', start_date: NOVEMBER, from: OCTOBER, change: { catalog_version: 1 } },
    ],
    ['a period of nobody', { start_date: NOVEMBER, change: { catalog_version: 1 } }],
    [
      'two plans',
      {
        from: OCTOBER,
        change: { plan: { plan_id: 'pro' }, inline_plan: { plan_id: 'x', currency: 'usd', rules: [{ markup: '0' }] } },
      },
    ],
  ])('do not take %s', (_name, body) => {
    expect(dryRunSchema.safeParse(body).success).toBe(false);
  });

  it('write nothing', async () => {
    const counts = async () =>
      (
        await run.pool.query(
          `SELECT (SELECT count(*) FROM usage_events) AS events, (SELECT count(*) FROM pricing_runs) AS runs,
             (SELECT count(*) FROM seals) AS seals, (SELECT count(*) FROM invoices) AS invoices,
             (SELECT count(*) FROM period_timeline) AS entries`,
        )
      ).rows;
    const before = await counts();
    await one(november('other'), { plan: { plan_id: 'pro' }, catalog_version: 1, events: [event('other', 'x')] });
    expect(await counts()).toEqual(before);
  });

  it('compare the lines of a rule with those of the same name, whichever place it has in the other plan', async () => {
    const rule = (name: string, feature: string, flat: string) => ({ name, match: { feature }, flat });
    const [scans, rest] = [rule('Scans', 'scan', '5.00'), { markup: '0' }];
    const publish = (rules: object[]) => publishPlan(run.pool, { plan_id: 'work', currency: 'usd', rules }, 'test');
    await publish([rule('Reports', 'report', '3.00'), scans, rest]);
    const dearer = await publish([scans, rule('Reports', 'report', '4.00'), rest]);
    await customer(run.pool, 'works', { plan_id: 'work', plan_version: 1 });
    const used = ['scan', 'report'].map((feature) => event('works', feature, { feature }));
    expect(await run.append(used)).toEqual(['accepted', 'accepted']);
    const { lines } = await one(november('works'), { plan: { plan_id: 'work', version: dearer.version } });
    expect(lines).toMatchObject([{ before: '3.00', after: '4.00', difference: '1.00' }]);
    expect(lines![0]!.description).toMatch(/^Reports · /);
  });
});
