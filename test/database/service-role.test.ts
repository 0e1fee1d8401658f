import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rebillLate } from '../../src/closing/rebill-late.js';
import { grantService } from '../../src/database/grants.js';
import { createPool, type Pool } from '../../src/database/pool.js';
import { flushMeterEvents } from '../../src/invoicing/meter-flush.js';
import { pollStripe } from '../../src/invoicing/poll-stripe.js';
import { sweepDrafts } from '../../src/invoicing/sweep-drafts.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { expectOrigin } from '../../src/ledger/origin.js';
import { ensurePayloadPartitions } from '../../src/ledger/payload-partitions.js';
import { Relay } from '../../src/ledger/relay.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { openBillingRun } from '../support/billing-run.js';
import { cloneDatabase } from '../support/database.js';
import { customer, publishBasics } from '../support/ledger.js';

/** The role that the API and the worker log in with owns nothing: `costplus migrate --grant` gave it what they need. */
describe('the service role', () => {
  const role = `service_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let service: Pool;

  beforeAll(async () => {
    database = await cloneDatabase();
    await database.pool.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
    await grantService(database.pool, role);
    const url = new URL(database.url);
    url.username = role;
    url.password = password;
    service = createPool(url.href, { max: 10 });
  });
  afterAll(async () => {
    await service?.end();
    await database?.pool.query(`DROP OWNED BY ${role}`);
    await database?.pool.query(`DROP ROLE ${role}`);
    await database?.drop();
  });

  it('suffices for the way from usage to an invoice, its correction and its proof', async () => {
    await expectOrigin(service);
    await publishBasics(service);
    await customer(service, 'acme', { starts_at: '2026-01-01T00:00:00Z' });
    expect(await ensurePayloadPartitions(service)).not.toEqual([]);
    const run = await openBillingRun(service);
    const event = (event_id: string, customer_id = 'acme') => ({
      customer_id,
      event_id,
      occurred_at: '2026-10-10T00:00:00Z',
    });
    const ref = { customer_id: 'acme', start_date: '2026-10-01' };
    expect(await run.append([event('a'), event('b'), event('early', 'to-come')])).toEqual([
      'accepted',
      'accepted',
      'held',
    ]);
    expect(await run.close(ref)).toBe('invoiced');
    await voidUsage(service, 'acme', 'a', { reason: 'wrong', actor: 'finance' });
    expect(await run.append([event('c')])).toEqual(['late']);
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(await verifyInvoice(run, 'acme', '2026-10-01', 2)).toMatchObject({ matches: true });

    await customer(service, 'to-come', { starts_at: '2026-01-01T00:00:00Z' });
    const nudged: string[] = [];
    const warnings: unknown[] = [];
    const relay = new Relay({
      pool: service,
      signalsPerSecond: 100,
      nudge: async ({ customer_id }) => void nudged.push(customer_id),
      log: { info: () => undefined, warn: (fields) => warnings.push(fields) },
    });
    relay.start();
    while (!nudged.includes('to-come')) await sleep(10);
    await relay.stop();
    const deps = { ...run, heartbeat: () => undefined };
    await sweepDrafts(deps);
    await pollStripe(deps);
    await flushMeterEvents(deps);
    await rebillLate(run, async () => undefined);
    expect(warnings).toEqual([]);
    await run.end();
  });

  it.each([
    'TRUNCATE usage_events_0',
    'TRUNCATE usage_chunks',
    'UPDATE seals SET reason = reason',
    'DELETE FROM invoices',
    'DELETE FROM usage_events',
    'UPDATE usage_payloads SET info = NULL',
    'ALTER TABLE usage_events DISABLE TRIGGER ALL',
    'ALTER TABLE usage_payloads DETACH PARTITION usage_payloads_other',
    'DROP TABLE audit_log',
    `SET session_replication_role = 'replica'`,
    'CREATE TABLE of_its_own (id int)',
  ])('does not suffice for %s', async (statement) => {
    await expect(service.query(statement)).rejects.toMatchObject({ code: '42501' });
  });
});
