import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CostplusError } from '../../src/errors/error.js';
import { cloneDatabase } from '../support/database.js';
import { expectExactlyOnce, inParallel, openScenario, type Scenario } from '../support/submission.js';

const AMOUNTS = [900, -100];

/** An attempt that stops at its n-th failpoint until it is released; `stopped` is also over when it never gets there. */
function attemptHeldAt(scenario: Scenario, n: number) {
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
    .submit(async () => {
      if (passed++ !== n) return;
      reach();
      await gate;
    })
    .then(
      (outcome) => outcome.outcome as string,
      (error: unknown) => {
        if (error instanceof CostplusError && error.code === 'stale_inputs') return 'overtaken';
        throw error;
      },
    );
  return { stopped: Promise.race([reached, ended]), release, ended };
}

describe('two attempts that meet: one that was given up but still runs, and its retry', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  /** Failpoints of a clean attempt; what is after one step is before the next, so only the latter are used. */
  let points: number[];
  const open = () => openScenario(database.pool, { amounts: AMOUNTS });

  beforeAll(async () => {
    database = await cloneDatabase();
    const clean = await open();
    const names: string[] = [];
    await clean.submit((name) => void names.push(name));
    points = [...names.keys()].filter((n) => names[n]!.startsWith('before ') || n === names.length - 1);
    await clean.close();
  });
  afterAll(() => database.drop());

  it('issue exactly one invoice wherever the zombie wakes up after the retry is through', async () => {
    const ends = new Set<string>();
    await inParallel(points, 4, async (n) => {
      const scenario = await open();
      const zombie = attemptHeldAt(scenario, n);
      await zombie.stopped;
      expect(await scenario.submit()).toMatchObject({ outcome: 'confirmed' });
      zombie.release();
      ends.add(await zombie.ended);
      await expectExactlyOnce(scenario, AMOUNTS);
      await scenario.close();
    });
    expect(ends).toEqual(new Set(['overtaken', 'confirmed']));
  });

  it('issue exactly one invoice wherever the zombie wakes up inside the retry', async () => {
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
      await expectExactlyOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });

  it('issue exactly one invoice when many begin at the same moment', async () => {
    await inParallel([...Array(10).keys()], 2, async () => {
      const scenario = await open();
      const ends = await Promise.allSettled(Array.from({ length: 8 }, () => scenario.submit()));
      const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
      for (const failure of failures) expect(failure).toMatchObject({ code: 'stale_inputs' });
      await expectExactlyOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });

  it('issue exactly one invoice in any order of the steps of three attempts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const scenario = await open();
        const attempt = () =>
          scenario
            .submit((name) => scheduler.schedule(Promise.resolve(), name))
            .catch((error: unknown) => {
              if (!(error instanceof CostplusError) || error.code !== 'stale_inputs') throw error;
            });
        await scheduler.waitFor(Promise.all([attempt(), attempt(), attempt()]));
        await expectExactlyOnce(scenario, AMOUNTS);
        await scenario.close();
      }),
      { numRuns: 40 },
    );
  });
});
