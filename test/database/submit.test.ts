import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTransaction } from '../../src/database/pool.js';
import { CostplusError } from '../../src/errors/error.js';
import { allowNewGenerations } from '../../src/invoicing/submission-store.js';
import { submitInvoice } from '../../src/invoicing/submit.js';
import { sweepDrafts, UNSWEPT_SQL } from '../../src/invoicing/sweep-drafts.js';
import { cloneDatabase } from '../support/database.js';
import { insertInvoice } from '../support/invoice-fixture.js';
import { MANY_AMOUNTS, openScenario, type Scenario } from '../support/submission.js';

describe('submitting an invoice', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  const open: Scenario[] = [];
  const scenario = async (options?: Parameters<typeof openScenario>[1]) => {
    const opened = await openScenario(database.pool, options);
    open.push(opened);
    return opened;
  };
  const row = async (s: Scenario) => {
    const { rows } = await database.pool.query(
      `SELECT s.*, p.payment_status FROM invoice_submissions s JOIN periods p USING (period_id)
       WHERE period_id = $1 AND revision = $2`,
      [s.ref.period_id, s.ref.revision],
    );
    return rows[0];
  };

  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(async () => {
    for (const each of open) await each.close();
    await database.drop();
  });

  it('makes one issued invoice with the lines as composed, in five calls', async () => {
    const s = await scenario({ amounts: [1_000, -250, 0] });
    const before = s.standIn.state().requests.length;
    const outcome = await s.submit();
    expect(
      s.standIn
        .state()
        .requests.slice(before)
        .map((it) => `${it.method} ${it.path.split('/').slice(2).join('/')}`),
    ).toEqual([
      'GET invoices',
      'POST invoices',
      expect.stringMatching(/^POST .*add_lines$/),
      expect.stringMatching(/^GET invoices\/in_/),
      expect.stringMatching(/^POST .*finalize$/),
    ]);
    const [invoice] = s.invoices();
    expect(s.invoices()).toHaveLength(1);
    expect(outcome).toEqual({ outcome: 'confirmed', stripe_invoice_id: invoice!.id, stripe_status: 'open' });
    expect(invoice).toMatchObject({ status: 'open', subtotal: 750, currency: 'usd', auto_advance: true });
    expect(invoice!.lines.map((line) => [line.metadata.costplus_line, line.amount, line.description])).toEqual([
      ['1', 1_000, 'Usage of model 1'],
      ['2', -250, 'Usage of model 2'],
      ['3', 0, 'Usage of model 3'],
    ]);
    expect(invoice!.metadata).toEqual({
      costplus_invoice: `${s.fixture.customer_id}/2026-11-01/1`,
      costplus_hash: s.fixture.content_hash,
      costplus_generation: '1',
    });
    expect(invoice!.lines[0]!.period).toEqual({
      start: Date.parse('2026-11-01T00:00:00Z') / 1_000,
      end: Date.parse('2026-11-30T23:59:59Z') / 1_000,
    });
    expect(await row(s)).toMatchObject({
      elected_invoice_id: invoice!.id,
      stripe_status: 'open',
      stripe_number: invoice!.number,
      hosted_invoice_url: invoice!.hosted_invoice_url,
      stripe_subtotal: 750,
      stripe_total: 750,
      confirmed_at: expect.any(Date),
      payment_status: 'open',
    });
  });

  it('answers a confirmed submission again without a call', async () => {
    const s = await scenario();
    const first = await s.submit();
    const calls = s.standIn.state().requests.length;
    expect(await s.submit()).toEqual(first);
    expect(s.standIn.state().requests).toHaveLength(calls);
  });

  it('sends many lines in chunks of 100 and pages them when it compares', async () => {
    const s = await scenario({ amounts: MANY_AMOUNTS });
    await s.submit();
    const paths = s.standIn.state().requests.map((it) => it.path.replace(/in_[0-9a-f]+/, 'ID'));
    expect(paths.filter((path) => path === '/v1/invoices/ID/add_lines')).toHaveLength(2);
    expect(paths.filter((path) => path === '/v1/invoices/ID/lines')).toHaveLength(4);
    expect(s.invoices()[0]!.lines.map((line) => line.amount)).toEqual(MANY_AMOUNTS);
  });

  it('asks for payment within the days that the plan says', async () => {
    const s = await scenario({ collection: { method: 'send_invoice', days_until_due: 14 } });
    await s.submit();
    const [invoice] = s.invoices();
    expect(invoice).toMatchObject({ collection_method: 'send_invoice', days_until_due: 14, status: 'open' });
    expect(invoice!.due_date! - invoice!.status_transitions.finalized_at!).toBe(14 * 86_400);
  });

  it('leaves the elected draft to a person in draft mode, and issues it when the mode is stripe later', async () => {
    const s = await scenario({ mode: 'draft' });
    const drafted = await s.submit();
    expect(drafted).toMatchObject({ outcome: 'drafted', stripe_invoice_id: s.invoices()[0]!.id });
    expect(s.invoices()[0]).toMatchObject({ status: 'draft', auto_advance: false });
    expect(await s.submit()).toEqual(drafted);
    expect(await submitInvoice(s.deps(), { ...s.ref, mode: 'stripe' })).toMatchObject({ outcome: 'confirmed' });
    expect(s.invoices()).toHaveLength(1);
  });

  it.each([
    ['a total of zero', [500, -500]],
    ['a negative total, which becomes the customer’s credit', [500, -2_000]],
    ['a total below the smallest charge', [30]],
  ])('issues %s as paid', async (_name, amounts) => {
    const s = await scenario({ amounts });
    expect(await s.submit()).toMatchObject({ outcome: 'confirmed', stripe_status: 'paid' });
    expect(await row(s)).toMatchObject({ payment_status: 'paid', stripe_total: s.fixture.subtotal_minor });
  });

  it('sends amounts of currencies without minor units as they are', async () => {
    const s = await scenario({ amounts: [1_234], currency: 'jpy' });
    await s.submit();
    expect(s.invoices()[0]).toMatchObject({ currency: 'jpy', subtotal: 1_234 });
  });

  describe('for a customer that Stripe does not know', () => {
    it('makes it once and keeps it', async () => {
      const s = await scenario({ stripeCustomer: 'missing' });
      await s.submit();
      const [customer] = s.standIn.state().customers;
      expect(s.standIn.state().customers).toHaveLength(1);
      expect(customer!.metadata).toEqual({ costplus_customer: s.fixture.customer_id });
      const kept = await database.pool.query('SELECT stripe_customer_id FROM customers WHERE customer_id = $1', [
        s.fixture.customer_id,
      ]);
      expect(kept.rows[0].stripe_customer_id).toBe(customer!.id);
    });

    it('makes one for two periods that submit at once', async () => {
      const s = await scenario({ stripeCustomer: 'missing' });
      const second = await insertInvoice(database.pool, {
        customerId: s.fixture.customer_id,
        amounts: [700],
        startDate: '2026-12-01',
        endDate: '2027-01-01',
      });
      await Promise.all([s.submit(), submitInvoice(s.deps(), { ...s.ref, period_id: second.period_id })]);
      expect(s.standIn.state().customers).toHaveLength(1);
      expect(s.invoices().map((invoice) => invoice.status)).toEqual(['open', 'open']);
    });

    it('finds the one that an attempt of two days ago made, although Stripe has pruned its key', async () => {
      const s = await scenario({ stripeCustomer: 'missing' });
      await expect(
        s.submit((name) => {
          if (name === 'after create customer') throw new Error('crash');
        }),
      ).rejects.toThrow('crash');
      s.standIn.advance(48 * 3_600_000);
      await database.pool.query(
        `UPDATE invoice_submissions SET started_at = started_at - interval '48 hours' WHERE period_id = $1`,
        [s.ref.period_id],
      );
      expect(await s.submit()).toMatchObject({ outcome: 'confirmed' });
      expect(s.standIn.state().customers).toHaveLength(1);
    });
  });

  describe('parks', () => {
    it('what Stripe refuses, and says what Stripe said without values', async () => {
      const s = await scenario({ amounts: [12_345], currency: 'kwd' });
      const outcome = await s.submit();
      expect(outcome).toEqual({
        outcome: 'parked',
        reason: expect.stringMatching(/"add lines" with HTTP 400.*parameter lines\[0\]\[amount\]/),
      });
      expect(JSON.stringify(outcome)).not.toContain('12345');
    });

    it('and works with the customer that finance names then', async () => {
      const s = await scenario();
      const name = (id: string) =>
        database.pool.query('UPDATE customers SET stripe_customer_id = $2 WHERE customer_id = $1', [
          s.fixture.customer_id,
          id,
        ]);
      await name('cus_gone');
      expect(await s.submit()).toMatchObject({ outcome: 'parked' });
      await name(s.standIn.state().customers[0]!.id);
      expect(await s.submit()).toMatchObject({ outcome: 'confirmed' });
    });

    it('the same key with other content', async () => {
      const s = await scenario();
      await s.stripe.call('foreign', {}, (sdk) =>
        sdk.invoices.create({
          customer: s.standIn.state().customers[0]!.id,
          metadata: { costplus_invoice: `${s.fixture.customer_id}/2026-11-01/1`, costplus_hash: 'other' },
        }),
      );
      expect(await s.submit()).toEqual({ outcome: 'parked', reason: expect.stringContaining('other content') });
      expect(s.invoices().map((invoice) => invoice.status)).toEqual(['draft']);
    });

    it('an issued invoice under our key that is not as composed', async () => {
      const s = await scenario();
      const foreign = await s.stripe.call('foreign', {}, async (sdk) => {
        const made = await sdk.invoices.create({
          customer: s.standIn.state().customers[0]!.id,
          metadata: {
            costplus_invoice: `${s.fixture.customer_id}/2026-11-01/1`,
            costplus_hash: s.fixture.content_hash,
          },
        });
        return sdk.invoices.finalizeInvoice(made.id);
      });
      expect(await s.submit()).toEqual({ outcome: 'parked', reason: expect.stringContaining(foreign.id) });
      expect(s.invoices()).toHaveLength(1);
    });

    it('after three drafts that were not as composed, leaves none of them, and tries again when released', async () => {
      const s = await scenario();
      let meddle = true;
      // Somebody adds a line to each draft before it is verified.
      const meddler = async (name: string) => {
        if (!meddle || name !== 'before retrieve invoice') return;
        const draft = s.invoices().find((invoice) => invoice.status === 'draft')!;
        await s.stripe.call('meddle', {}, (sdk) => sdk.invoices.addLines(draft.id, { lines: [{ amount: 1 }] }));
      };
      const parked = { outcome: 'parked', reason: expect.stringContaining('3 drafts') };
      expect(await s.submit(meddler)).toEqual(parked);
      expect(s.invoices()).toEqual([]);
      meddle = false;
      expect(await s.submit(meddler)).toEqual(parked);
      await allowNewGenerations(database.pool, s.ref.period_id);
      expect(await s.submit(meddler)).toMatchObject({ outcome: 'confirmed' });
    });

    it.each([
      ['changed', 'was changed at Stripe'],
      ['deleted', 'was deleted at Stripe'],
    ])('an elected draft that was %s before it could be issued', async (what, reason) => {
      const s = await scenario();
      await expect(
        s.submit((name) => {
          if (name === 'after elect') throw new Error('crash');
        }),
      ).rejects.toThrow('crash');
      const [draft] = s.invoices();
      await s.stripe.call('meddle', {}, async (sdk) => {
        if (what === 'deleted') await sdk.invoices.del(draft!.id);
        else await sdk.invoices.addLines(draft!.id, { lines: [{ amount: 1 }] });
      });
      expect(await s.submit()).toEqual({ outcome: 'parked', reason: expect.stringContaining(reason) });
      expect(s.invoices().filter((invoice) => invoice.status !== 'draft')).toEqual([]);
    });

    it('an issued invoice that differs from what was composed', async () => {
      const s = await scenario();
      const outcome = await s.submit(async (name) => {
        if (name !== 'before finalize') return;
        await s.stripe.call('meddle', {}, (sdk) =>
          sdk.invoices.addLines(s.invoices()[0]!.id, { lines: [{ amount: 1 }] }),
        );
      });
      expect(outcome).toEqual({ outcome: 'parked', reason: expect.stringContaining('not as composed') });
      expect((await row(s)).confirmed_at).toBeNull();
    });
  });

  it('adopts the invoice that was issued before the database was restored from a backup', async () => {
    const s = await scenario();
    await s.submit();
    await database.pool.query('DELETE FROM invoice_drafts WHERE period_id = $1', [s.ref.period_id]);
    await database.pool.query('DELETE FROM invoice_submissions WHERE period_id = $1', [s.ref.period_id]);
    s.standIn.advance(48 * 3_600_000);
    expect(await s.submit()).toMatchObject({ outcome: 'confirmed', stripe_invoice_id: s.invoices()[0]!.id });
    expect(s.invoices()).toHaveLength(1);
  });

  it('stops between calls when its signal says so', async () => {
    const s = await scenario();
    const stop = new AbortController();
    const submitted = submitInvoice(
      {
        ...s.deps((name) => {
          if (name === 'after record draft') stop.abort(new Error('cancelled'));
        }),
        signal: stop.signal,
      },
      s.ref,
    );
    await expect(submitted).rejects.toThrow('cancelled');
    expect(s.invoices()[0]!.lines).toEqual([]);
  });

  it('throws for what a later call can do', async () => {
    const s = await scenario();
    s.standIn.faults.order({ match: { method: 'GET' }, kind: '500_unsaved', count: 2 });
    const failure = await s.submit().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CostplusError);
    expect(failure).toMatchObject({ code: 'stripe_unavailable', retryable: true });
  });

  it('sweeps what lost: soon after the election, and once more a day later', async () => {
    const other = await cloneDatabase();
    const s = await openScenario(other.pool);
    const lose = (generation: string) =>
      s.stripe.call('lose', {}, (sdk) =>
        sdk.invoices.create({
          customer: s.standIn.state().customers[0]!.id,
          metadata: {
            costplus_invoice: `${s.fixture.customer_id}/2026-11-01/1`,
            costplus_hash: s.fixture.content_hash,
            costplus_generation: generation,
          },
        }),
      );
    await s
      .submit((name) => {
        if (name === 'after add lines') throw new Error('crash');
      })
      .catch(() => undefined);
    await s.submit();
    await lose('1');
    expect(await sweepDrafts(s.deps())).toEqual({ submissions: 1, deleted: 1, strangers: [] });
    await lose('1');
    expect(await sweepDrafts(s.deps())).toEqual({ submissions: 0, deleted: 0, strangers: [] });
    await other.pool.query(
      `UPDATE invoice_submissions SET elected_at = elected_at - interval '25 hours', swept_at = swept_at - interval '25 hours'`,
    );
    const stranger = await lose('1');
    await s.stripe.call('by hand', {}, (sdk) => sdk.invoices.finalizeInvoice(stranger.id));
    // A sweep that could not tell of it has not been made.
    await s.deps().pool.query('ALTER TABLE stripe_alerts RENAME TO stripe_alerts_away');
    await expect(sweepDrafts(s.deps())).rejects.toThrow('stripe_alerts');
    await s.deps().pool.query('ALTER TABLE stripe_alerts_away RENAME TO stripe_alerts');
    expect(await sweepDrafts(s.deps())).toEqual({ submissions: 1, deleted: 0, strangers: [stranger.id] });
    expect(s.invoices().filter(({ status }) => status === 'draft')).toEqual([]);
    expect((await other.pool.query(`SELECT object_id FROM stripe_alerts WHERE kind = 'issued_by_hand'`)).rows).toEqual([
      { object_id: stranger.id },
    ]);
    expect(await sweepDrafts(s.deps())).toMatchObject({ submissions: 0 });
    await s.close();
    await other.drop();
  });

  it('sweeps on past a submission that fails, and lets others go first the next time; it ends where Stripe is away', async () => {
    const other = await cloneDatabase();
    const scenarios = [];
    for (let i = 0; i < 3; i++) scenarios.push(await openScenario(other.pool));
    for (const s of scenarios) {
      await s
        .submit((name) => {
          if (name === 'after add lines') throw new Error('crash');
        })
        .catch(() => undefined);
      await s.submit();
    }
    const [first, ...others] = scenarios;
    const swept = async () => {
      const { rows } = await other.pool.query<{ period_id: number }>(
        'SELECT period_id FROM invoice_submissions WHERE swept_at IS NOT NULL ORDER BY period_id',
      );
      return rows.map(({ period_id }) => period_id);
    };
    // All three are looked for at one stand-in, which is away for each of them.
    const calls = first!.standIn.faults;
    calls.order({ match: { method: 'GET' }, kind: '500_unsaved', count: 100 });
    await expect(sweepDrafts(first!.deps())).rejects.toMatchObject({ code: 'stripe_unavailable' });
    expect(await swept()).toEqual([]);
    const failed = await other.pool.query('SELECT FROM invoice_submissions WHERE sweep_failed_at IS NOT NULL');
    expect(failed.rowCount).toBe(3);
    // Only the first of a sweep fails: the others are swept, and it is tried again after them.
    calls.clear();
    calls.order({ match: { method: 'GET' }, kind: '500_unsaved', count: 2 });
    await expect(sweepDrafts(first!.deps())).rejects.toMatchObject({ code: 'stripe_unavailable' });
    expect(await swept()).toHaveLength(2);
    expect(await sweepDrafts(first!.deps())).toMatchObject({ submissions: 1 });
    expect(await swept()).toHaveLength(3);
    for (const s of [first!, ...others]) await s.close();
    await other.drop();
  });

  it('sweeps by an index of its own', async () => {
    const plan = await inTransaction(database.pool, async (client) => {
      await client.query('SET LOCAL enable_seqscan = off');
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN SELECT FROM invoice_submissions WHERE attempt > 1 AND stripe_customer_id IS NOT NULL AND ${UNSWEPT_SQL}
         ORDER BY coalesce(sweep_failed_at, started_at) LIMIT 100`,
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
    expect(plan).toContain('invoice_submissions_to_sweep');
  });
});
