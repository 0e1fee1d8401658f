import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAULT_KINDS, type FaultKind } from '../../src/dev/stripe-faults.js';
import { cloneDatabase } from '../support/database.js';
import {
  expectExactlyOnce,
  inParallel,
  MANY_AMOUNTS,
  openScenario,
  TEST_TIMEOUT_MILLISECONDS,
} from '../support/submission.js';

const fault = (kind: FaultKind, skip: number, count: number) => ({
  kind,
  skip,
  count,
  // Longer than a caller waits: the request is executed after its sender gave up.
  delay_ms: TEST_TIMEOUT_MILLISECONDS * 1.5,
  ...(kind === '429' ? { retry_after_seconds: 1 } : {}),
});

describe('a submission over a network and a Stripe that fail', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let calls: number;
  const open = () =>
    openScenario(database.pool, {
      amounts: MANY_AMOUNTS,
      stripeCustomer: 'missing',
      timeoutMilliseconds: TEST_TIMEOUT_MILLISECONDS,
    });

  beforeAll(async () => {
    database = await cloneDatabase();
    const clean = await open();
    await clean.submit();
    calls = clean.standIn.state().requests.length;
    await clean.close();
  });
  afterAll(() => database.drop());

  // Once: the replay succeeds. Four times: the replay fails too, and the next attempt starts in the middle of it.
  it.each(FAULT_KINDS)('ends exactly once whichever call meets %s, once or again and again', async (kind) => {
    expect(calls).toBeGreaterThan(9);
    const cases = [1, 4].flatMap((count) => Array.from({ length: calls }, (_, skip) => ({ skip, count })));
    await inParallel(cases, 24, async ({ skip, count }) => {
      const scenario = await open();
      scenario.standIn.faults.order(fault(kind, skip, count));
      await scenario.submitUntilDone();
      expect(scenario.standIn.state().requests.filter((it) => it.fault === kind).length).toBeGreaterThan(0);
      await expectExactlyOnce(scenario, MANY_AMOUNTS);
      await scenario.close();
    });
  });

  it('ends exactly once whatever comes together', async () => {
    const quick = FAULT_KINDS.filter((kind) => kind !== '429' && !kind.startsWith('timeout'));
    const orders = fc.array(
      fc.record({ kind: fc.constantFrom(...quick), skip: fc.nat(15), count: fc.integer({ min: 1, max: 3 }) }),
      { minLength: 2, maxLength: 5 },
    );
    await inParallel(fc.sample(orders, { numRuns: 48, seed: 20_261_124 }), 24, async (together) => {
      const scenario = await open();
      for (const { kind, skip, count } of together) scenario.standIn.faults.order(fault(kind, skip, count));
      await scenario.submitUntilDone();
      await expectExactlyOnce(scenario, MANY_AMOUNTS);
      await scenario.close();
    });
  });
});
