import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CostplusError } from '../../src/errors/error.js';
import { cloneDatabase } from '../support/database.js';
import { inParallel } from '../support/submission.js';
import { expectPlacedOnce, openSubscription, type SubscriptionScenario } from '../support/subscription.js';

const AMOUNTS = [900, -100, 7];

/** An attempt that stops at its n-th failpoint until it is released; `stopped` is also over when it never gets there. */
function attemptHeldAt(scenario: SubscriptionScenario, n: number) {
  let passed = 0;
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let reach: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const ended = scenario
    .place(async () => {
      if (passed++ !== n) return;
      reach();
      await gate;
    })
    .then(
      (outcome) => outcome.outcome as string,
      (error: unknown) => {
        if (error instanceof CostplusError && error.code === 'stale_inputs') return 'overtaken';
        if (error instanceof CostplusError && error.code === 'stripe_unavailable') return 'waits';
        throw error;
      },
    );
  return { stopped: Promise.race([reached, ended]), release, ended };
}

describe.each([
  ['items that wait for the next invoice', false],
  ['items on a draft of the renewal', true],
])('two attempts at placing lines that meet: %s', (_name, draft) => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let points: number[];
  const open = () => openSubscription(database.pool, { amounts: AMOUNTS, draft });

  beforeAll(async () => {
    database = await cloneDatabase();
    const clean = await open();
    const names: string[] = [];
    await clean.place((name) => void names.push(name));
    points = [...names.keys()].filter((n) => names[n]!.startsWith('before ') || n === names.length - 1);
    await clean.close();
  });
  afterAll(() => database.drop());

  it('place each line once wherever the zombie wakes up after the retry is through', async () => {
    const ends = new Set<string>();
    await inParallel(points, 4, async (n) => {
      const scenario = await open();
      const zombie = attemptHeldAt(scenario, n);
      await zombie.stopped;
      expect(await scenario.place()).toMatchObject({ outcome: 'placed' });
      const made = scenario.lines();
      zombie.release();
      ends.add(await zombie.ended);
      expect(scenario.lines()).toEqual(made);
      await expectPlacedOnce(scenario, AMOUNTS);
      await scenario.close();
    });
    expect(ends).toEqual(new Set(['overtaken', 'placed']));
  });

  it('place each line once when the zombie sleeps until its keys are dead and the retry has others', async () => {
    await inParallel(points, 4, async (n) => {
      const scenario = await open();
      const zombie = attemptHeldAt(scenario, n);
      await zombie.stopped;
      await scenario.pass();
      scenario.standIn.forgetKeys();
      expect(await scenario.placeUntilDone()).toMatchObject({ outcome: 'placed' });
      zombie.release();
      await zombie.ended;
      await expectPlacedOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });

  it('place each line once wherever the zombie wakes up inside the retry', async () => {
    const pairs = points.flatMap((first) => points.map((second) => [first, second] as const));
    await inParallel(pairs, 4, async ([first, second]) => {
      const scenario = await open();
      const zombie = attemptHeldAt(scenario, first);
      await zombie.stopped;
      const retry = attemptHeldAt(scenario, second);
      await retry.stopped;
      zombie.release();
      await zombie.ended;
      retry.release();
      await retry.ended;
      await expectPlacedOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });

  it('place each line once in any order of the steps of three attempts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const scenario = await open();
        const attempt = () =>
          scenario
            .place((name) => scheduler.schedule(Promise.resolve(), name))
            .catch((error: unknown) => {
              if (!(error instanceof CostplusError) || !error.retryable) throw error;
            });
        await scheduler.waitFor(Promise.all([attempt(), attempt(), attempt()]));
        await expectPlacedOnce(scenario, AMOUNTS);
        await scenario.close();
      }),
      { numRuns: 20 },
    );
  });

  it('place each line once when the renewal makes or issues its draft in the middle', async () => {
    await inParallel(points, 4, async (n) => {
      const scenario = await open();
      const attempt = attemptHeldAt(scenario, n);
      await attempt.stopped;
      if (draft) scenario.standIn.issueDrafts();
      else scenario.standIn.renew(scenario.subscription);
      attempt.release();
      await attempt.ended;
      await expectPlacedOnce(scenario, AMOUNTS);
      // What was added before the draft was issued stays; the rest rides on the next invoice.
      const { invoice_items, invoices } = scenario.standIn.state();
      for (const { invoice } of invoice_items.filter(({ invoice }) => invoice !== null)) {
        expect(invoices.find(({ id }) => id === invoice)).toMatchObject({ billing_reason: 'subscription_cycle' });
      }
      await scenario.close();
    });
  });
});
