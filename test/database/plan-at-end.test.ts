import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { composeSeal } from '../../src/invoicing/compose-seal.js';
import { readSealablePeriod, readSealInputs, type SealInputs } from '../../src/ledger/seal.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

let run: BillingRun;
beforeAll(async () => {
  run = await openBillingRun();
  await publishBasics(run.pool, { commitment: { amount: '300', periods: 3 } });
  await publishPlan(run.pool, { plan_id: 'basic', currency: 'usd', rules: [{ markup: '0' }] }, 'test');
});
afterAll(() => run.end());

/** What a seal of November would pin after these plans, each in force from its day on. */
async function inputsAfter(id: string, plans: [plan: string, day: string][]): Promise<SealInputs> {
  for (const [plan_id, day] of plans) {
    await customer(
      run.pool,
      id,
      { plan_id, starts_at: '2026-11-01T00:00:00Z' },
      Date.parse(`2026-11-${day}T00:00:00Z`),
    );
  }
  const period = await ensurePeriodAt(run.pool, id, NOW_MS, NOW_MS);
  const sealable = await readSealablePeriod(run.pool, period!.period_id);
  return (await readSealInputs(run.pool, sealable!, 1)).inputs;
}

it('a seal says that a plan is in force at the end where it was left before: its commitment goes on', async () => {
  const inputs = await inputsAfter('back', [
    ['pro', '01'],
    ['basic', '06'],
    ['pro', '26'],
  ]);
  expect(inputs.plans.map(({ plan_id }) => plan_id)).toEqual(['pro', 'basic', 'pro']);
  expect(inputs.plan_at_end).toBe('pro');
  const nothing = { groups: [], held: [], events: 0 };
  const { content } = composeSeal({ inputs, revision: 1, catalog_version: 1 }, nothing);
  expect(content.lines).toEqual([]);
  expect(content.balances.closing.commitment).toMatchObject({ plan_id: 'pro', over: 1, elapsed: '1/3', spent: '0' });
});

it('a seal says nothing where the last plan is a new one', async () => {
  const inputs = await inputsAfter('on', [
    ['basic', '01'],
    ['pro', '06'],
  ]);
  expect(inputs.plans.map(({ plan_id }) => plan_id)).toEqual(['basic', 'pro']);
  expect(Object.hasOwn(inputs, 'plan_at_end')).toBe(false);
});
