import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cloneDatabase } from '../support/database.js';
import { expectExactlyOnce, inParallel, MANY_AMOUNTS, openScenario, type Scenario } from '../support/submission.js';

/** Ends the attempt at its n-th failpoint, as a killed process would. */
async function crashAt(scenario: Scenario, n: number): Promise<string | null> {
  let passed = 0;
  let where: string | null = null;
  await scenario
    .submit((name) => {
      if (passed++ !== n) return;
      where = name;
      throw new Error('killed');
    })
    .catch((error: Error) => {
      if (error.message !== 'killed') throw error;
    });
  return where;
}

describe('a submission that is killed', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let names: string[];
  const open = () => openScenario(database.pool, { amounts: MANY_AMOUNTS, stripeCustomer: 'missing' });

  beforeAll(async () => {
    database = await cloneDatabase();
    const clean = await open();
    names = [];
    await clean.submit((name) => void names.push(name));
    await clean.close();
  });
  afterAll(() => database.drop());

  it('passes failpoints around every write and every call', () => {
    expect(new Set(names.map((name) => name.replace(/^(before|after) /, '')))).toEqual(
      new Set([
        'claim',
        'create customer',
        'keep customer',
        'keep submission customer',
        'list invoices',
        'create draft',
        'record draft',
        'add lines',
        'retrieve invoice',
        'list lines',
        'elect',
        'finalize',
        'confirm',
      ]),
    );
  });

  it('is finished exactly once by the next attempt, wherever it was killed', async () => {
    const killed: string[] = [];
    await inParallel([...names.keys()], 4, async (n) => {
      const scenario = await open();
      killed.push((await crashAt(scenario, n))!);
      await expectExactlyOnce(scenario, MANY_AMOUNTS);
      await scenario.close();
    });
    expect(killed.toSorted()).toEqual(names.toSorted());
  });

  it('is finished exactly once however often it was killed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(names.length), { minLength: 2, maxLength: 6 }), async (crashes) => {
        const scenario = await open();
        for (const n of crashes) await crashAt(scenario, n);
        await expectExactlyOnce(scenario, MANY_AMOUNTS);
        await scenario.close();
      }),
      { numRuns: 30 },
    );
  });

  it('is finished exactly once when Stripe has pruned all keys meanwhile', async () => {
    await inParallel([...names.keys()], 4, async (n) => {
      const scenario = await open();
      await crashAt(scenario, n);
      scenario.standIn.advance(72 * 3_600_000);
      await database.pool.query(
        `UPDATE invoice_submissions SET started_at = started_at - interval '72 hours' WHERE period_id = $1`,
        [scenario.ref.period_id],
      );
      await expectExactlyOnce(scenario, MANY_AMOUNTS);
      expect(scenario.standIn.state().customers).toHaveLength(1);
      await scenario.close();
    });
  });
});
