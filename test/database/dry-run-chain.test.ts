import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { creditGrantSchema } from '../../src/contracts/credit.js';
import { type DryRunPeriod, dryRunSchema } from '../../src/contracts/dry-run.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { dryRun } from '../../src/invoicing/dry-runs.js';
import { grantCredits } from '../../src/ledger/credits.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

const MONTHS = ['2026-09-01', '2026-10-01', '2026-11-01'];
const [SEPTEMBER, OCTOBER, NOVEMBER] = MONTHS as [string, string, string];

/**
 * What the three months would have cost: 1, 10 and 1 million input tokens, which cost 3.00, 30.00 and 3.00 and are charged
 * 3.75, 37.50 and 3.75 at 25%. September and October are closed on a plan of just that, November is open.
 */
describe('a dry run over several periods', () => {
  let run: BillingRun;
  let customers = 0;
  let id: string;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());
  beforeEach(() => {
    id = `customer-${++customers}`;
  });

  const plan = (more: Partial<PlanInput> = {}) => ({
    plan_id: id,
    currency: 'usd',
    rules: [{ markup: '0.25' }],
    ...more,
  });
  const supposed = (more: Partial<PlanInput>) => ({ inline_plan: plan(more) });
  const usage = (month: string, millions: number) => ({
    customer_id: id,
    event_id: `${id} ${month}`.replace(' ', '.'),
    occurred_at: `${month.slice(0, 7)}-10T12:00:00Z`,
    usage: { input_tokens: millions * 1_000_000 },
  });
  async function open(more: Partial<PlanInput> = {}, months = MONTHS) {
    await publishPlan(run.pool, plan(more), 'test');
    const starts_at = '2026-09-01T00:00:00Z';
    await customer(run.pool, id, { plan_id: id, starts_at }, Date.parse(starts_at));
    for (const month of months) await ensurePeriodAt(run.pool, id, Date.parse(month), NOW_MS);
    await run.append(
      [usage(SEPTEMBER, 1), usage(OCTOBER, 10), usage(NOVEMBER, 1)].filter((_, at) => months.includes(MONTHS[at]!)),
    );
  }
  const close = async (...months: string[]) => {
    for (const start_date of months) await run.close({ customer_id: id, start_date });
  };
  const grant = (amount: string, more = {}) =>
    grantCredits(
      run.pool,
      id,
      creditGrantSchema.parse({ name: 'Pack', amount, effective_from: '2026-09-01T00:00:00Z', ...more }),
      'test',
    );
  async function ask(change: object, more: object = {}): Promise<DryRunPeriod[]> {
    const request = { customer_id: id, from: SEPTEMBER, to: '2026-12-01', change, ...more };
    return (await dryRun(run, dryRunSchema.parse(request))).data;
  }
  const totals = (periods: DryRunPeriod[]) => periods.map(({ after }) => after?.total);

  it('rolls over what a period would have left', async () => {
    await open();
    await close(SEPTEMBER, OCTOBER);
    const change = supposed({ allowance: { charge: '20', rollover: true, rollover_limit: '15' } });
    const periods = await ask(change);
    // September: 3.75 of 20; 16.25 are left, 15 roll over. October: 37.50 of 35. November: 3.75 of 20.
    expect(periods.map(({ before, after, opens_after }) => [before?.total, after?.total, opens_after])).toEqual([
      ['3.75', '0.00', null],
      ['37.50', '2.50', SEPTEMBER],
      ['3.75', '0.00', OCTOBER],
    ]);
    expect(periods[1]!.balances).toMatchObject({
      opening: { rollover: [{ plan_id: id, key: 'charge', amount: '15' }] },
      closing: { rollover: [] },
    });
    // Each by itself opens with what was really there: nothing was. October: 37.50 - 20.
    const alone = await ask(change, { openings: 'real' });
    expect(totals(alone)).toEqual(['0.00', '17.50', '0.00']);
    expect(alone.every(({ opens_after }) => opens_after === null)).toBe(true);
  });

  it('charges a fee in advance once for each period', async () => {
    await open();
    await close(SEPTEMBER, OCTOBER);
    // 3.75 + 49 for September + 49 for October; 37.50 + 49 for November; 3.75 + 49 for December.
    expect(totals(await ask(supposed({ base_fee: { amount: '49.00', timing: 'advance' } })))).toEqual([
      '101.75',
      '86.50',
      '52.75',
    ]);
  });

  it('sums up a commitment, and tops it up where it ends', async () => {
    await open();
    await close(SEPTEMBER, OCTOBER);
    // 3.75 + 37.50 + 3.75 = 45 of 100: 55 are missing in the third month.
    expect(totals(await ask(supposed({ commitment: { amount: '100', periods: 3 } })))).toEqual([
      '3.75',
      '37.50',
      '58.75',
    ]);
  });

  it('burns credits as the supposed invoices would, also those that were really used up', async () => {
    await open();
    await grant('35');
    await close(SEPTEMBER, OCTOBER);
    // Really: 3.75 and 31.25 of 37.50; November pays 3.75. At cost: 3 and 30, and 2 are left for November's 3.
    const periods = await ask(supposed({ rules: [{ markup: '0' }] }));
    expect(periods.map(({ before, after }) => [before?.total, after?.total])).toEqual([
      ['0.00', '0.00'],
      ['6.25', '0.00'],
      ['3.75', '1.00'],
    ]);
    // At 100%: 6 of 35, 29 of 60, nothing left: 31 and 6.
    expect(totals(await ask(supposed({ rules: [{ markup: '1' }] })))).toEqual(['0.00', '31.00', '6.00']);
  });

  it('meets grants that begin later, keeps those that the chain used up so, and lets them expire', async () => {
    await open();
    await grant('4', { expires_at: '2026-09-20T00:00:00Z' });
    await grant('2');
    await grant('10', { effective_from: '2026-11-01T00:00:00Z' });
    await close(SEPTEMBER, OCTOBER);
    // September at cost: 3 of the 4 that expire, 1 is gone with them. October: 30 - 2. November: 3 of 10.
    const periods = await ask(supposed({ rules: [{ markup: '0' }] }));
    expect(totals(periods)).toEqual(['0.00', '28.00', '0.00']);
    expect(periods[2]!.balances!.closing.credits).toMatchObject([{ burned: '3.00', remaining: '7.00' }]);
    // At 100%: September takes 4 and 2, October has nothing: its own invoice had some, which does not count.
    expect(totals(await ask(supposed({ rules: [{ markup: '1' }] })))).toEqual(['0.00', '60.00', '0.00']);
  });

  it.each<[string, Partial<PlanInput>]>([
    [
      'fee in advance, two allowances that roll over, commitment',
      {
        rules: [{ markup: '0.4' }],
        base_fee: { amount: '9.00', timing: 'advance' },
        allowance: [
          { charge: '3', rollover: true },
          { credits: '2', rollover: true, rollover_limit: '3' },
        ],
        commitment: { amount: '80', periods: 3 },
      },
    ],
    [
      'tokens that roll over, minimum and maximum spend',
      {
        allowance: { quantity: '4000000', match: { meter: 'input_tokens' }, rollover: true },
        minimum_spend: '1.00',
        maximum_spend: '20',
      },
    ],
    [
      'actions that roll over, beside a discount',
      {
        rules: [{ markup: '0.1', fee_per_action: '0.30' }],
        allowance: { quantity: '1', count: 'actions', rollover: true },
        discounts: [{ name: 'Launch', percent: '0.1' }],
      },
    ],
    ['a commitment that ends within the range', { base_fee: '1.00', commitment: { amount: '60', periods: 2 } }],
  ])('is what the invoices would really have been: %s', async (_name, terms) => {
    await open();
    await grant('12', { priority: 5 });
    await close(SEPTEMBER, OCTOBER);
    const chained = await ask(supposed(terms));

    id = `twin-${customers}`;
    await open(terms);
    await grant('12', { priority: 5 });
    await close(SEPTEMBER, OCTOBER, NOVEMBER);
    const really = await Promise.all(MONTHS.map((start_date) => run.newest({ customer_id: id, start_date })));
    expect(totals(chained)).toEqual(really.map(({ total }) => total));
    // Every step of composing came to the same.
    expect(chained.map(({ balances }) => balances!.closing.rollover.map(({ amount }) => amount))).toEqual(
      really.map(({ balances }) => balances.closing.rollover.map(({ amount }) => amount)),
    );
  });

  it('opens its first period as that really did', async () => {
    await open({ allowance: { charge: '20', rollover: true } });
    await close(SEPTEMBER, OCTOBER);
    // From October on: September really left 16.25. October at cost: 30 of 36.25; November: 3 of 26.25.
    const change = supposed({ rules: [{ markup: '0' }], allowance: { charge: '20', rollover: true } });
    const periods = await ask(change, { from: OCTOBER });
    expect(periods.map(({ opens_after }) => opens_after)).toEqual([null, OCTOBER]);
    expect(periods[0]!.balances!.opening.rollover).toMatchObject([{ amount: '65/4' }]);
    expect(periods[1]!.balances).toMatchObject({
      opening: { rollover: [{ amount: '25/4' }] },
      closing: { rollover: [{ amount: '93/4' }] },
    });
  });

  it('comes to no difference where nothing is different, for periods that are open one after the other too', async () => {
    await open({
      base_fee: { amount: '49.00', timing: 'advance' },
      allowance: { charge: '20', rollover: true },
    });
    await close(SEPTEMBER);
    const periods = await ask({ plan: { plan_id: id, version: 1 } });
    expect(periods.map(({ status, difference }) => [status, difference])).toEqual([
      ['invoiced', '0.00'],
      ['open', '0.00'],
      ['open', '0.00'],
    ]);
    // November has the fee that October would have carried, whichever side is asked.
    expect(periods[2]!.before?.total).toBe('49.00');
  });

  it('takes late usage of a period off what that one left, as it really was', async () => {
    await open({ allowance: { charge: '20', rollover: true } });
    await close(SEPTEMBER);
    await run.append([{ ...usage(SEPTEMBER, 1), event_id: 'late' }]);
    await close(OCTOBER);
    // September left 16.25, of which its late usage took 3.75: October had 32.50 for 37.50.
    const same = await ask({ plan: { plan_id: id, version: 1 } });
    expect(same.map(({ after, difference }) => [after?.total, difference])).toEqual([
      ['0.00', '0.00'],
      ['5.00', '0.00'],
      ['0.00', '0.00'],
    ]);
    // At 100%: September 6 of 20; 14 are left, less 3.75. October: 60 - 30.25.
    expect(
      totals(await ask(supposed({ rules: [{ markup: '1' }], allowance: { charge: '20', rollover: true } }))),
    ).toEqual(['0.00', '29.75', '0.00']);
  });

  it('begins anew after a period that could not be composed, and says so', async () => {
    await open();
    await close(SEPTEMBER, OCTOBER);
    const period = '(SELECT period_id FROM periods WHERE customer_id = $1 AND start_date = $2)';
    await run.pool.query(`UPDATE period_totals SET events = 100000000 WHERE period_id = ${period}`, [id, OCTOBER]);
    const periods = await ask(supposed({ allowance: { charge: '20', rollover: true } }));
    expect(periods.map(({ error, opens_after }) => [error?.code ?? null, opens_after])).toEqual([
      [null, null],
      ['invalid_request', null],
      [null, null],
    ]);
  });

  it('goes on over pages', async () => {
    await open();
    await grant('35');
    await close(SEPTEMBER, OCTOBER);
    const change = supposed({ rules: [{ markup: '0' }], allowance: { charge: '1', rollover: true } });
    const whole = await ask(change);
    const paged: DryRunPeriod[] = [];
    let cursor: string | undefined;
    do {
      const request = { customer_id: id, from: SEPTEMBER, to: '2026-12-01', change, limit: 1, cursor };
      const page = await dryRun(run, dryRunSchema.parse(request));
      paged.push(...page.data);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(paged).toEqual(whole);
    expect(paged[2]!.opens_after).toBe(OCTOBER);
  });

  it('takes no credits from a cursor that the customer does not have', async () => {
    const foreign = id;
    await open();
    const { grant_id } = await grant('100');
    id = `${foreign}-forger`;
    await open();
    await close(SEPTEMBER);
    const own = await grant('1');
    const change = supposed({ rules: [{ markup: '0' }] });
    const page = (cursor?: string) =>
      dryRun(run, dryRunSchema.parse({ customer_id: id, from: SEPTEMBER, to: '2026-11-01', change, limit: 1, cursor }));
    const place = JSON.parse(Buffer.from((await page()).next_cursor!, 'base64url').toString());
    const forged = (credits: unknown) => {
      const after = { ...place.after, credits };
      return page(Buffer.from(JSON.stringify({ ...place, after })).toString('base64url'));
    };
    // No more than was granted, and nothing of somebody else's: 30 - 1.
    const lied = await forged([
      [grant_id, '100'],
      [own.grant_id, '50'],
    ]);
    expect(totals(lied.data)).toEqual(['29.00']);
    await expect(forged([[own.grant_id, '-5']])).rejects.toMatchObject({ code: 'invalid_request', field: 'cursor' });
    await expect(forged('none')).rejects.toMatchObject({ code: 'invalid_request', field: 'cursor' });
  });

  it('does not reach over a period that is not there', async () => {
    await open({}, [SEPTEMBER, NOVEMBER]);
    const periods = await ask(supposed({ allowance: { charge: '20', rollover: true } }));
    expect(periods.map(({ start_date, opens_after }) => [start_date, opens_after])).toEqual([
      [SEPTEMBER, null],
      [NOVEMBER, null],
    ]);
    expect(periods[1]!.balances!.opening.rollover).toEqual([]);
  });

  it('keeps the chains of customers apart', async () => {
    const change = { inline_plan: { ...plan({ allowance: { charge: '20', rollover: true } }), plan_id: 'all' } };
    const [first] = [id];
    await open();
    id = `${first}-b`;
    await open();
    const page = await dryRun(run, dryRunSchema.parse({ from: SEPTEMBER, to: '2026-12-01', change }));
    const own = page.data.filter(({ customer_id }) => customer_id === first || customer_id === id);
    expect(own.map(({ customer_id, opens_after }) => [customer_id, opens_after])).toEqual([
      [first, null],
      [first, SEPTEMBER],
      [first, OCTOBER],
      [id, null],
      [id, SEPTEMBER],
      [id, OCTOBER],
    ]);
  });
});
