import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAULT_KINDS, type FaultKind } from '../../src/dev/stripe-faults.js';
import { cloneDatabase } from '../support/database.js';
import { inParallel, TEST_TIMEOUT_MILLISECONDS } from '../support/submission.js';
import { expectPlacedOnce, openSubscription } from '../support/subscription.js';

const AMOUNTS = [900, -100, 7];

describe('placing lines over a network and a Stripe that fail', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let calls: number;
  const open = () =>
    openSubscription(database.pool, {
      amounts: AMOUNTS,
      draft: true,
      timeoutMilliseconds: TEST_TIMEOUT_MILLISECONDS,
    });
  const fault = (kind: FaultKind, skip: number, count: number) => ({
    kind,
    skip,
    count,
    delay_ms: TEST_TIMEOUT_MILLISECONDS * 1.5,
    ...(kind === '429' ? { retry_after_seconds: 1 } : {}),
  });

  beforeAll(async () => {
    database = await cloneDatabase();
    const clean = await open();
    const before = clean.standIn.state().requests.length;
    await clean.place();
    calls = clean.standIn.state().requests.length - before;
    await clean.close();
  });
  afterAll(() => database.drop());

  it.each(FAULT_KINDS)('ends exactly once whichever call meets %s, once or again and again', async (kind) => {
    const cases = [1, 4].flatMap((count) => Array.from({ length: calls }, (_, skip) => ({ skip, count })));
    expect(calls).toBeGreaterThan(5);
    await inParallel(cases, 16, async ({ skip, count }) => {
      const scenario = await open();
      scenario.standIn.faults.order(fault(kind, skip, count));
      await scenario.placeUntilDone();
      expect(scenario.standIn.state().requests.filter((it) => it.fault === kind).length).toBeGreaterThan(0);
      await expectPlacedOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });
});
