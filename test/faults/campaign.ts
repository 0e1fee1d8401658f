import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, test } from 'vitest';
import { sendSignal } from '../../src/dev/processes.js';
import { FAULT_KINDS } from '../../src/dev/stripe-faults.js';
import { SmallJourney } from '../support/small-journey.js';
import { type PartName, TestStack, untilAnswered, waitFor } from '../support/stack.js';

/*
 * Periods are billed while parts are killed and stopped and Stripe fails, all at random, for as long as one likes:
 *
 *   CAMPAIGN_SECONDS=1800 CAMPAIGN_SEED=7 npm run test:campaign
 *
 * The seed decides the actions and their order; how they meet the work under way is up to the machine. It is no part of
 * `npm test`, which has the points that are known to hurt (crash.test.ts).
 */

const SECONDS = Number(process.env.CAMPAIGN_SECONDS ?? 300);
const SEED = Number(process.env.CAMPAIGN_SEED ?? Date.now() % 1_000_000);
const CUSTOMERS_PER_ROUND = 5;
/** Parts that ended are started again, runs that were lost are noticed, retries back off: a round may take this long. */
const ROUND_SECONDS = 400;

const PARTS: readonly PartName[] = ['postgres', 'temporal', 'stripe', 'api', 'worker'];
const STOPPABLE: readonly PartName[] = ['temporal', 'stripe', 'worker'];
const STEPS = ['^/v1/invoices$', '/add_lines$', '/finalize$', '^/v1/customers$', '^/v1/invoices/[^/]+$'];

let stack: TestStack;
let journey: SmallJourney;
let state = SEED;

beforeAll(async () => {
  stack = await TestStack.start();
  journey = await SmallJourney.prepare(stack);
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await stack.showLogsOnce();
});
afterAll(() => stack?.stop());

function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}
const pick = <T>(values: readonly T[]): T => values[random(values.length)]!;

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`);
}

/** One period from the making of its customer to its invoice, with pauses that let the parts fail in between. */
async function bill(customer: string, pausesMs: readonly number[]): Promise<void> {
  await sleep(pausesMs[0]);
  await journey.make(customer);
  await journey.deliver(customer);
  await sleep(pausesMs[1]);
  await journey.close(customer);
  await journey.billed(customer, ROUND_SECONDS);
}

async function hurt(): Promise<void> {
  switch (random(3)) {
    case 0: {
      const part = pick(PARTS);
      say(`kill ${part}`);
      // It may be down already, between two of its own attempts.
      if (stack.pids[part] !== undefined) await stack.kill(part);
      return;
    }
    case 1: {
      const part = pick(STOPPABLE);
      const milliseconds = random(part === 'worker' ? 30_000 : 5_000);
      say(`stop ${part} for ${milliseconds} ms`);
      const pid = stack.pids[part];
      if (pid === undefined) return;
      sendSignal(pid, 'SIGSTOP');
      await sleep(milliseconds);
      sendSignal(pid, 'SIGCONT');
      return;
    }
    default: {
      const order = {
        match: { path: pick(STEPS) },
        kind: pick(FAULT_KINDS),
        count: 1 + random(2),
        delay_ms: random(8_000),
      };
      say(`fault ${JSON.stringify(order)}`);
      await untilAnswered(() => stack.fault(order));
    }
  }
}

/** Waits until nothing of the round is on its way any more, and lets the day pass after which the sweeper looks again. */
async function settle(): Promise<void> {
  await untilAnswered(() => stack.clearFaults());
  await stack.ready();
  await waitFor('late requests have arrived', async () => {
    const requests = await stack.standInRequests();
    const late = requests.filter(({ fault, status }) => (fault === 'delay' || fault === 'slow') && status === null);
    return late.length === 0 || null;
  });
  await stack.pool.query('UPDATE invoice_submissions SET swept_at = NULL');
}

test(`periods are billed exactly once whatever happens, seed ${SEED}`, {
  timeout: (SECONDS + 2 * ROUND_SECONDS) * 1_000,
}, async () => {
  const end = Date.now() + SECONDS * 1_000;
  for (let round = 1; Date.now() < end; round++) {
    say(`round ${round}`);
    let running = true;
    const customers = Array.from({ length: CUSTOMERS_PER_ROUND }, (_, i) => `round-${round}-${i}`);
    const billing = Promise.all(customers.map((customer) => bill(customer, [random(4_000), random(4_000)]))).finally(
      () => {
        running = false;
      },
    );
    for (let actions = 3 + random(5); running && actions > 0; actions--) {
      await sleep(random(3_000));
      await hurt();
    }
    await billing;
    await settle();
    await journey.sweepAll();
  }
});
