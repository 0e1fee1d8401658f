import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { CommandAnswer } from '../../src/contracts/engine.js';
import type { PeriodView } from '../../src/contracts/period.js';
import { SmallJourney } from '../support/small-journey.js';
import { ApiProblem, TestStack, waitFor } from '../support/stack.js';

/*
 * Every part of the system is ended without warning (SIGKILL) while periods stand at the points where it hurts. Each
 * period has to end with one finalized invoice whose bytes are those of an undisturbed run, with every acknowledged
 * event in it once, and with no draft left at Stripe. The cases run in order on one stack, each with new customers.
 */

const SLOW = 180_000;

let stack: TestStack;
let journey: SmallJourney;

beforeAll(async () => {
  stack = await TestStack.start();
  journey = await SmallJourney.prepare(stack);
}, SLOW);
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await stack.showLogsOnce();
});
afterAll(() => stack?.stop());

const allBilled = (customers: string[]) => Promise.all(customers.map((customer) => journey.billed(customer)));

test('a worker that is killed: while pricing, while sealing, at each step of a submission', {
  timeout: SLOW,
}, async () => {
  const [pricing, sealing, ...submitting] = [
    'worker-price',
    'worker-seal',
    'worker-create',
    'worker-lines',
    'worker-final',
  ];
  await journey.fill(sealing!, ...submitting);
  await journey.make(pricing!);
  const holds = [await journey.holdPricing(pricing!), await journey.holdSeal(sealing!)];
  await journey.deliver(pricing!);
  await journey.close(sealing!);
  // The create arrives late, when its sender is long dead; the others take effect and are never answered.
  await journey.closeInto(submitting[0]!, 'create', 'delay', 8_000);
  await journey.closeInto(submitting[1]!, 'add_lines', 'timeout_after');
  await journey.closeInto(submitting[2]!, 'finalize', 'timeout_after');
  await Promise.all(holds.map(({ reached }) => reached()));

  await stack.kill('worker');

  await Promise.all(holds.map(({ release }) => release()));
  await journey.close(pricing!);
  await allBilled([pricing!, sealing!, ...submitting]);
});

test('an API that is killed: while it appends, and while a command is under way', { timeout: SLOW }, async () => {
  const customers = ['api-append-1', 'api-append-2', 'api-append-3'];
  for (const customer of customers) await journey.make(customer);
  let answered = 0;
  let killed: Promise<void> | undefined;
  const delivered = customers.map((customer) =>
    journey.deliver(customer, () => {
      if (++answered === 12) killed = stack.kill('api');
    }),
  );
  await Promise.all(delivered);
  await killed;

  // The workflow has the command and waits for the period's row when the API that asked dies.
  const { rows } = await stack.pool.query<{ period_id: number }>(
    'SELECT period_id FROM periods WHERE customer_id = $1',
    [customers[0]],
  );
  const client = await stack.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM periods WHERE period_id = $1 FOR UPDATE', [rows[0]!.period_id]);
  const closing = journey.close(customers[0]!);
  await waitFor('the command waits for the row', async () => {
    const waiting = await stack.pool.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'costplus-worker' AND wait_event_type = 'Lock'`,
    );
    return (waiting.rowCount ?? 0) > 0 || null;
  });
  await stack.kill('api');
  await client.query('COMMIT');
  client.release();
  expect((await closing).status).toBe('closing');
  await Promise.all(customers.slice(1).map((customer) => journey.close(customer)));
  await allBilled(customers);
});

test('an engine that is killed: while usage arrives, while sealing, during submissions', {
  timeout: SLOW,
}, async () => {
  const [appending, sealing, ...submitting] = [
    'engine-append',
    'engine-seal',
    'engine-create',
    'engine-lines',
    'engine-final',
  ];
  await journey.fill(sealing!, ...submitting);
  await journey.make(appending!);
  const hold = await journey.holdSeal(sealing!);
  await journey.close(sealing!);
  await journey.closeInto(submitting[0]!, 'create', 'slow', 3_000);
  await journey.closeInto(submitting[1]!, 'add_lines', 'slow', 3_000);
  await journey.closeInto(submitting[2]!, 'finalize', 'slow', 3_000);
  await hold.reached();
  const delivered = journey.deliver(appending!);

  await stack.kill('temporal');

  await hold.release();
  await delivered;
  await journey.close(appending!);
  await allBilled([appending!, sealing!, ...submitting]);
});

test('a database that is killed: while it appends, prices and seals, during submissions', {
  timeout: SLOW,
}, async () => {
  const [appending, pricing, sealing, ...submitting] = [
    'base-append',
    'base-price',
    'base-seal',
    'base-create',
    'base-lines',
    'base-final',
  ];
  await journey.fill(sealing!, ...submitting);
  for (const customer of [appending!, pricing!]) await journey.make(customer);
  const holds = [await journey.holdPricing(pricing!), await journey.holdSeal(sealing!)];
  await journey.deliver(pricing!);
  await journey.close(sealing!);
  await journey.closeInto(submitting[0]!, 'create', 'slow', 2_000);
  await journey.closeInto(submitting[1]!, 'add_lines', 'slow', 2_000);
  await journey.closeInto(submitting[2]!, 'finalize', 'slow', 2_000);
  await Promise.all(holds.map(({ reached }) => reached()));
  let killed: Promise<void> | undefined;
  const delivered = journey.deliver(appending!, (batches) => {
    if (batches === 4) killed = stack.kill('postgres');
  });

  await delivered;
  await killed;
  // Locks of the test went with the server.
  await Promise.all(holds.map(({ release }) => release()));
  for (const customer of [appending!, pricing!]) await journey.close(customer);
  await allBilled([appending!, pricing!, sealing!, ...submitting]);
});

test('a Stripe that goes away at each step of a submission', { timeout: SLOW }, async () => {
  const customers = ['stripe-create', 'stripe-lines', 'stripe-final'];
  await journey.fill(...customers);
  await journey.closeInto(customers[0]!, 'create', 'slow', 10_000);
  await journey.closeInto(customers[1]!, 'add_lines', 'slow', 10_000);
  await journey.closeInto(customers[2]!, 'finalize', 'timeout_after');

  await stack.kill('stripe');

  await allBilled(customers);
});

test('a Stripe that limits, fails with and without effect, and breaks connections', { timeout: SLOW }, async () => {
  const customers = Array.from({ length: 6 }, (_, i) => `faults-${i}`);
  await journey.fill(...customers);
  const steps = { create: '^/v1/invoices$', add_lines: '/add_lines$', finalize: '/finalize$' };
  const kinds = ['429', '500_saved', '500_saved_after', '500_unsaved', 'reset_before', 'reset_after'] as const;
  for (const path of Object.values(steps)) {
    for (const kind of kinds) {
      const wait = kind === '429' ? { retry_after_seconds: 1 } : {};
      await stack.fault({ match: { method: 'POST', path }, kind, ...wait });
    }
  }
  await Promise.all(customers.map((customer) => journey.close(customer)));
  await allBilled(customers);
  const met = new Set((await stack.standInRequests()).map(({ fault }) => fault));
  expect([...met]).toEqual(expect.arrayContaining([...kinds]));
});

test('a worker that hangs past its heartbeat and wakes up after another one took over', { timeout: SLOW }, async () => {
  const customers = ['zombie-create', 'zombie-lines', 'zombie-final'];
  await journey.fill(...customers);
  // Long enough to stop the worker while all three are under way; it then finds its answers when it wakes up.
  await journey.closeInto(customers[0]!, 'create', 'slow', 15_000);
  await journey.closeInto(customers[1]!, 'add_lines', 'slow', 15_000);
  await journey.closeInto(customers[2]!, 'finalize', 'slow', 15_000);
  stack.signal('worker', 'SIGSTOP');
  // The engine forgets the polls of the stopped worker, which would swallow the tasks of the next one.
  await stack.kill('temporal');
  const second = await stack.startWorker();
  await allBilled(customers);
  // The relay of the stopped worker has lost its lead by now: usage that arrives meanwhile is priced.
  await journey.fill('zombie-meanwhile');
  const attempts = await stack.pool.query<{ attempt: number }>(
    `SELECT attempt FROM invoice_submissions s JOIN periods USING (period_id) WHERE customer_id = ANY($1)`,
    [customers],
  );
  expect(Math.min(...attempts.rows.map(({ attempt }) => attempt))).toBeGreaterThan(1);

  stack.signal('worker', 'SIGCONT');
  await waitFor('the attempts that slept have ended', async (note) => {
    const ended = (await stack.log('worker')).filter(({ activity, workflow_id }) => {
      return activity === 'submitInvoice' && customers.some((name) => String(workflow_id).includes(`/${name}/`));
    });
    note(JSON.stringify(ended));
    return new Set(ended.map(({ workflow_id }) => workflow_id)).size === customers.length || null;
  });
  await allBilled(customers);
  await journey.close('zombie-meanwhile');
  await allBilled(['zombie-meanwhile']);
  second.kill('SIGTERM');
});

test.each([
  ['its port is taken', () => ({ WORKER_METRICS_PORT: new URL(stack.info.api_url).port })],
  ['its database does not answer', () => ({ DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:1/none' })],
  ['its engine does not answer', () => ({ TEMPORAL_ADDRESS: '127.0.0.1:1' })],
])('a worker that cannot start because %s ends, and does not half work', async (_why, environment) => {
  const worker = await stack.startWorker(environment());
  expect(await waitFor('the worker has ended', async () => worker.exitCode)).toBeGreaterThan(0);
});

test('an engine that is lost with all it knew: what was under way goes on, what was billed stays so', {
  timeout: SLOW,
}, async () => {
  const [open, sealing, submitting, done] = ['lost-open', 'lost-seal', 'lost-submit', 'lost-done'];
  await journey.fill(sealing!, submitting!, done!);
  await journey.close(done!);
  await journey.billed(done!);
  await journey.make(open!);
  const events = journey.events(open!);
  expect((await stack.sendUsage(events.slice(0, 40))).every(({ status }) => status === 'accepted')).toBe(true);
  const hold = await journey.holdSeal(sealing!);
  await journey.close(sealing!);
  await journey.closeInto(submitting!, 'create', 'timeout_after');
  await hold.reached();

  await stack.kill('worker');
  await hold.release();
  await stack.restart(() => rm(join(stack.home, 'temporal'), { recursive: true }));

  // A run that is gone is noticed when its period has made no progress for a while: let that while have passed.
  const moved = await stack.pool.query(
    `UPDATE periods SET updated_at = updated_at - interval '5 minutes' WHERE customer_id IN ($1, $2)
       AND status IN ('closing', 'submitting')`,
    [sealing, submitting],
  );
  expect(moved.rowCount).toBe(2);
  await journey.deliver(open!);
  await journey.priced(open!);
  await journey.close(open!);
  await allBilled([open!, sealing!, submitting!]);

  const again = { request_id: 'close-lost-done' };
  expect(await stack.post<CommandAnswer>(`${journey.path(done!)}/close`, again)).toMatchObject({ status: 'closing' });
  const refused = await stack.post(`${journey.path(done!)}/close`, {}).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ApiProblem);
  expect((refused as ApiProblem).problem).toMatchObject({ type: 'urn:costplus:error:wrong_status', status: 409 });
  await journey.billed(done!);
  expect((await stack.get<PeriodView>(journey.path(done!))).invoices).toHaveLength(1);
});

test('no draft of all this is left at Stripe once the sweeper has run', () => journey.sweepAll());
