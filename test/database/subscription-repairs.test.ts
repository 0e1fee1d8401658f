import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { sweepDrafts } from '../../src/invoicing/sweep-drafts.js';
import { openSubscription, subscribe } from '../support/subscription.js';
import { openSubscriptionRun, type SubscriptionRun } from '../support/subscription-run.js';

describe('lines on a subscription that went wrong', () => {
  let run: SubscriptionRun;
  beforeAll(async () => {
    run = await openSubscriptionRun();
  });
  afterAll(() => run.end());
  afterEach(() => {
    vi.useRealTimers();
  });

  it('after a restore from a backup, lines that were placed before are found and adopted', async () => {
    for (const after of ['confirm', 'create item']) {
      const scenario = await openSubscription(run.pool, { amounts: [5, 6, 7] });
      await scenario
        .place((name) => {
          if (name === `after ${after}`) throw new Error('killed');
        })
        .catch(() => undefined);
      for (const table of ['items', 'generations', 'submissions']) {
        await run.pool.query(`DELETE FROM subscription_${table} WHERE period_id = $1`, [scenario.ref.period_id]);
      }
      expect(await scenario.place()).toEqual({ outcome: 'placed', lines: 3 });
      expect(scenario.lines()).toEqual(['1/1:5', '1/2:6', '1/3:7']);
      await scenario.close();
    }
  });

  it('a subscription canceled in the middle: the rest waits for another one, and so does what its draft leaves', async () => {
    for (const issued of [false, true]) {
      const scenario = await openSubscription(run.pool, { amounts: [5, 6], draft: true });
      const outcome = await scenario.place(async (name) => {
        if (name !== 'after create item') return;
        if (issued) scenario.standIn.issueDrafts();
        await scenario.by((sdk) => sdk.subscriptions.cancel(scenario.subscription));
      });
      const reason = expect.stringContaining(`The subscription ${scenario.subscription} is canceled`);
      expect(outcome).toMatchObject({ outcome: 'parked', reason });
      expect(scenario.lines()).toEqual(['1/1:5']);
      const another = await subscribe(scenario.by, scenario.customer);
      await run.pool.query('UPDATE customers SET stripe_subscription_id = $2 WHERE customer_id = $1', [
        scenario.fixture.customer_id,
        another,
      ]);
      expect(await scenario.placeUntilDone()).toEqual({ outcome: 'placed', lines: 2 });
      expect(scenario.lines()).toEqual(['1/1:5', '1/2:6']);
      const { invoice_items } = scenario.standIn.state();
      expect(invoice_items.map(({ parent }) => parent!.subscription_details.subscription).sort()).toEqual(
        (issued ? [scenario.subscription, another] : [another, another]).sort(),
      );
      await scenario.close();
    }
  });

  it('a failure that Stripe remembers under a key is waited out, and other keys follow', async () => {
    const scenario = await openSubscription(run.pool, { amounts: [5, 6] });
    const keys = () => {
      const made = scenario.standIn
        .state()
        .requests.filter(({ method, path }) => method === 'POST' && path === '/v1/invoiceitems');
      return new Set(made.map(({ idempotency_key }) => idempotency_key)).size;
    };
    scenario.standIn.faults.order({ match: { path: 'invoiceitems', method: 'POST' }, kind: '500_saved', skip: 1 });
    for (let tries = 0; tries < 3; tries++) {
      await expect(scenario.place()).rejects.toMatchObject({ code: 'stripe_unavailable' });
    }
    expect([scenario.lines(), keys()]).toEqual([['1/1:5'], 2]);
    await scenario.pass(10);
    await expect(scenario.place()).rejects.toMatchObject({
      code: 'stripe_unavailable',
      retryAfterSeconds: expect.closeTo(280, -2),
    });
    await scenario.pass(6);
    expect(await scenario.place()).toEqual({ outcome: 'placed', lines: 2 });
    expect([scenario.lines(), keys()]).toEqual([['1/1:5', '1/2:6'], 3]);
    await scenario.close();
  });

  it('the database refuses another target, another end, and a second item of a line', async () => {
    const scenario = await openSubscription(run.pool, { amounts: [5] });
    await scenario.place();
    const { period_id } = scenario.ref;
    const change = (sql: string) => run.pool.query(`${sql} WHERE period_id = $1`, [period_id]);
    await expect(change(`UPDATE subscription_generations SET target_invoice_id = 'in_1'`)).rejects.toThrow('immutable');
    await expect(change('UPDATE subscription_submissions SET attempt = attempt + 1')).rejects.toThrow('are placed');
    await expect(change('UPDATE subscription_submissions SET confirmed_at = NULL')).rejects.toThrow('are placed');
    await expect(
      run.pool.query(
        `INSERT INTO subscription_items (stripe_item_id, period_id, revision, line_number, amount_minor, seen_minor, stripe_customer_id)
         VALUES ('ii_second', $1, 1, 1, 5, 5, 'cus_1')`,
        [period_id],
      ),
    ).rejects.toThrow('subscription_items_line');
    await scenario.close();
  });

  it('an attempt that slept until its keys are dead makes nothing with them', async () => {
    const scenario = await openSubscription(run.pool, { amounts: [5, 6] });
    let made = 0;
    const attempt = scenario.place((name) => {
      if (name === 'before create item' && ++made === 2) {
        vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 8 * 60_000 });
      }
    });
    await expect(attempt).rejects.toMatchObject({ code: 'stale_inputs' });
    vi.useRealTimers();
    expect(scenario.lines()).toEqual(['1/1:5']);
    await scenario.close();
  });

  it('three times lines that are not as composed park, and releasing tries again', async () => {
    const scenario = await openSubscription(run.pool, { amounts: [5, 6] });
    const edit = async (name: string) => {
      if (name !== 'after create item') return;
      const item = scenario.standIn.state().invoice_items.at(-1)!;
      await scenario.by((sdk) => sdk.invoiceItems.update(item.id, { amount: 1 }));
    };
    let outcome = null;
    for (let tries = 0; tries < 6 && outcome === null; tries++) {
      outcome = await scenario.place(edit).catch(() => null);
      await scenario.pass();
    }
    expect(outcome).toMatchObject({ outcome: 'parked', reason: expect.stringContaining('3 times') });
    expect(await scenario.place()).toMatchObject({ outcome: 'parked' });
    await scenario.pool.query('UPDATE subscription_submissions SET failed_generations = 0 WHERE period_id = $1', [
      scenario.ref.period_id,
    ]);
    expect(await scenario.placeUntilDone()).toEqual({ outcome: 'placed', lines: 2 });
    expect(scenario.lines()).toEqual(['1/1:5', '1/2:6']);
    await scenario.close();
  });

  it('a second one of a line is swept while nothing has issued it, and told of in the books after', async () => {
    const { ref, stripeCustomer, subscription } = await run.billed('strays');
    expect(await run.rebill(ref)).toBe('invoiced');
    const copy = async () => {
      const { metadata } = run.itemsOf(stripeCustomer)[0]!;
      await run.by((sdk) =>
        sdk.invoiceItems.create({ customer: stripeCustomer, subscription, amount: 375, currency: 'usd', metadata }),
      );
    };
    const sweepAgain = async () => {
      await run.pool.query('UPDATE subscription_submissions SET swept_at = NULL');
      await sweepDrafts({ ...run, heartbeat: () => undefined });
    };
    await copy();
    await sweepAgain();
    expect(run.itemsOf(stripeCustomer)).toHaveLength(2);
    expect(await run.kinds(ref)).toEqual([]);
    await copy();
    run.standIn.renew(subscription);
    run.standIn.issueDrafts();
    await sweepAgain();
    expect(run.itemsOf(stripeCustomer)).toHaveLength(3);
    expect(await run.kinds(ref)).toEqual(['books_differ']);
  });
});
