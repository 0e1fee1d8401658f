import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CostplusError } from '../../src/errors/error.js';
import { cloneDatabase } from '../support/database.js';
import { inParallel } from '../support/submission.js';
import { expectPlacedOnce, openSubscription, type SubscriptionScenario } from '../support/subscription.js';

const AMOUNTS = [900, -100, 0, 42];

/** Ends the attempt at its n-th failpoint, as a killed process would. */
async function crashAt(scenario: SubscriptionScenario, n: number): Promise<string | null> {
  let passed = 0;
  let where: string | null = null;
  await scenario
    .place((name) => {
      if (passed++ !== n) return;
      where = name;
      throw new Error('killed');
    })
    .catch((error: Error) => {
      if (error.message !== 'killed' && !(error instanceof CostplusError && error.retryable)) throw error;
    });
  return where;
}

describe.each([
  ['items that wait for the next invoice', false],
  ['items on a draft of the renewal', true],
])('placing lines that is killed: %s', (_name, draft) => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let names: string[];
  const open = () => openSubscription(database.pool, { amounts: AMOUNTS, draft });

  beforeAll(async () => {
    database = await cloneDatabase();
    const clean = await open();
    names = [];
    await clean.place((name) => void names.push(name));
    await clean.close();
  });
  afterAll(() => database.drop());

  it('passes failpoints around every write and every call', () => {
    expect(new Set(names.map((name) => name.replace(/^(before|after) /, '')))).toEqual(
      new Set([
        'claim',
        'list items',
        'retrieve subscription',
        'list subscription drafts',
        'begin generation',
        'create item',
        'confirm',
      ]),
    );
  });

  it('is finished exactly once by the next attempt, wherever it was killed', async () => {
    const killed: string[] = [];
    await inParallel([...names.keys()], 4, async (n) => {
      const scenario = await open();
      killed.push((await crashAt(scenario, n))!);
      await expectPlacedOnce(scenario, AMOUNTS);
      await scenario.close();
    });
    expect(killed.toSorted()).toEqual(names.toSorted());
  });

  it('is finished exactly once however often it was killed, and whatever time passed between', async () => {
    const crash = fc.record({ n: fc.nat(names.length), later: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(crash, { minLength: 2, maxLength: 5 }), async (crashes) => {
        const scenario = await open();
        for (const { n, later } of crashes) {
          await crashAt(scenario, n);
          if (later) await scenario.pass();
        }
        await expectPlacedOnce(scenario, AMOUNTS);
        await scenario.close();
      }),
      { numRuns: 20 },
    );
  });

  it('is finished exactly once when Stripe has pruned all keys meanwhile', async () => {
    await inParallel([...names.keys()], 4, async (n) => {
      const scenario = await open();
      await crashAt(scenario, n);
      scenario.standIn.advance(72 * 3_600_000);
      await scenario.pass();
      await expectPlacedOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });
});
