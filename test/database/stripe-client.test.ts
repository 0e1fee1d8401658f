import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type StripeStandIn, startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { STRIPE_BURST_COUNT } from '../../src/limits.js';
import { StripeClient } from '../../src/stripe/client.js';
import { accountOf, pauseAccount, takeToken } from '../../src/stripe/rate-limit.js';
import { cloneDatabase } from '../support/database.js';

describe('the Stripe client', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let standIn: StripeStandIn;
  let client: StripeClient;

  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    await database.pool.query('DELETE FROM stripe_rate');
    standIn = await startStripeStandIn({ directory: null, environment: {} });
    client = new StripeClient({
      secretKey: standIn.secretKey,
      apiBase: standIn.url,
      pool: database.pool,
      callsPerSecond: 1_000,
      timeoutMilliseconds: 200,
    });
    return () => standIn.close();
  });

  const make = (key: string) =>
    client.call('create customer', {}, (sdk) => sdk.customers.create({ name: 'Acme' }, { idempotencyKey: key }));
  const requests = () => standIn.state().requests.length;

  it('replays an outcome that is not known once, with the same key', async () => {
    standIn.faults.order({ kind: 'timeout_after' });
    const { id } = await make('key-1');
    expect(standIn.state().customers.map((customer) => customer.id)).toEqual([id]);
    expect(standIn.state().requests.map((it) => it.idempotency_key)).toEqual(['key-1', 'key-1']);
  });

  it('gives up after the replay and says that the outcome is not known', async () => {
    standIn.faults.order({ kind: '500_saved', count: 1 });
    await expect(make('key-1')).rejects.toMatchObject({ code: 'stripe_unavailable', extra: { outcome_unknown: true } });
    expect(requests()).toBe(2);
  });

  it('does not replay what Stripe says not to', async () => {
    standIn.faults.order({ kind: '500_unsaved', should_retry: 'false' });
    await expect(make('key-1')).rejects.toMatchObject({ code: 'stripe_unavailable' });
    expect(requests()).toBe(1);
  });

  it('sends a 429 again after the wait, and lets the account rest meanwhile', async () => {
    standIn.faults.order({ kind: '429', retry_after_seconds: 1 });
    await make('key-1');
    const [first, second] = standIn.state().requests;
    expect(second!.at_ms - first!.at_ms).toBeGreaterThan(900);
  });

  it('keeps an unknown outcome unknown when a 429 follows it', async () => {
    standIn.faults.order({ kind: 'timeout_after' });
    standIn.faults.order({ kind: '429', should_retry: 'false' });
    await expect(make('key-1')).rejects.toMatchObject({ code: 'stripe_unavailable', extra: { outcome_unknown: true } });
  });

  it('lets its caller hear that it lives while Stripe takes its time', async () => {
    const patient = new StripeClient({ secretKey: standIn.secretKey, apiBase: standIn.url, pool: database.pool });
    const heard: unknown[] = [];
    standIn.faults.order({ kind: 'slow', delay_ms: 3_000 });
    await patient.call('create customer', { heartbeat: (detail) => heard.push(detail) }, (sdk) =>
      sdk.customers.create({ name: 'Acme' }, { idempotencyKey: 'key-1' }),
    );
    expect(heard[0]).toEqual({ stripe: 'create customer' });
    expect(heard.slice(1)).toContainEqual({ stripe: 'create customer', waits_for: 'answer' });
  });

  it('refuses for good what Stripe refuses', async () => {
    const refused = client.call('create draft', {}, (sdk) => sdk.invoices.create({ customer: 'cus_none' }));
    await expect(refused).rejects.toMatchObject({ code: 'stripe_refused', retryable: false });
    expect(requests()).toBe(1);
  });

  it('lets its caller know that it is alive, and stop it', async () => {
    const heard: unknown[] = [];
    await client.call('list', { heartbeat: (detail) => heard.push(detail) }, (sdk) => sdk.customers.list());
    expect(heard).toEqual([{ stripe: 'list' }]);
    const stopped = client.call('list', { signal: AbortSignal.abort(new Error('cancelled')) }, (sdk) =>
      sdk.customers.list(),
    );
    await expect(stopped).rejects.toThrow('cancelled');
    expect(requests()).toBe(1);
  });

  it('takes a server instead of Stripe by scheme, host and port only', () => {
    const make = (apiBase: string) => new StripeClient({ secretKey: 'sk_test_1', apiBase, pool: database.pool });
    expect(() => make('http://127.0.0.1:4010/stripe')).toThrow(/STRIPE_API_BASE/);
    expect(() => make('http://127.0.0.1:4010')).not.toThrow();
    expect(() => make('https://stripe.example')).not.toThrow();
  });

  describe('limits the calls of one account over all workers', () => {
    const account = accountOf('sk_test_limited');

    it('with a burst at once, then a slot for each caller in the order of asking', async () => {
      const waits = [];
      for (let i = 0; i < STRIPE_BURST_COUNT + 4; i++) waits.push(await takeToken(database.pool, account, 0.1));
      expect(waits.slice(0, STRIPE_BURST_COUNT)).toEqual(Array(STRIPE_BURST_COUNT).fill(0));
      const rest = waits.slice(STRIPE_BURST_COUNT);
      // One token in ten seconds: the n-th that waits, waits for n of them, less the moment that the test took.
      rest.forEach((wait, n) => {
        expect(wait).toBeLessThanOrEqual((n + 1) * 10_000);
        expect(wait).toBeGreaterThan(n * 10_000);
      });
    });

    it('also when all ask at once', async () => {
      const waits = await Promise.all(Array.from({ length: 12 }, () => takeToken(database.pool, account, 0.001)));
      expect(waits.filter((wait) => wait === 0)).toHaveLength(STRIPE_BURST_COUNT);
      expect(new Set(waits.map((wait) => Math.ceil(wait / 1_000_000))).size).toBe(12 - STRIPE_BURST_COUNT + 1);
    });

    it('and fills again with time, up to the burst', async () => {
      await takeToken(database.pool, account, 1);
      await database.pool.query(`UPDATE stripe_rate SET tokens = -3, updated_at = now() - interval '4 seconds'`);
      expect(await takeToken(database.pool, account, 1)).toBe(0);
      await database.pool.query(`UPDATE stripe_rate SET updated_at = now() - interval '1 day'`);
      const waits = [];
      for (let i = 0; i <= STRIPE_BURST_COUNT; i++) waits.push(await takeToken(database.pool, account, 0.01));
      expect(waits.filter((wait) => wait === 0)).toHaveLength(STRIPE_BURST_COUNT);
    });

    it('and rests when Stripe says 429; pauses that overlap do not add up', async () => {
      await takeToken(database.pool, account, 10);
      await pauseAccount(database.pool, account, 10, 60);
      await pauseAccount(database.pool, account, 10, 60);
      const wait = await takeToken(database.pool, account, 10);
      expect(wait).toBeGreaterThan(50_000);
      expect(wait).toBeLessThanOrEqual(60_100);
    });

    it('without storing the key', async () => {
      await takeToken(database.pool, account, 1);
      const { rows } = await database.pool.query('SELECT account FROM stripe_rate');
      expect(rows.map((row) => row.account)).toContain(account);
      expect(JSON.stringify(rows)).not.toContain('sk_test');
    });
  });
});
