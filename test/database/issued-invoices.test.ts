import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.js';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from '../../src/cli/exit-codes.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import type { IssuedInvoice } from '../../src/contracts/issued-invoice.js';
import type { Page } from '../../src/contracts/page.js';
import { listIssuedInvoices } from '../../src/invoicing/issued-invoices.js';
import { pollStripe } from '../../src/invoicing/poll-stripe.js';
import { publishExchangeRates } from '../../src/ledger/exchange-rates.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { startTestApi, type TestApi } from '../support/http.js';
import { customer, publishBasics } from '../support/ledger.js';
import { openSubscriptionRun, type SubscriptionRun } from '../support/subscription-run.js';

const OCTOBER = '2026-10-01';

describe('issued invoices, for accounting', () => {
  let api: TestApi;
  let run: BillingRun;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    api = await startTestApi();
    run = await openBillingRun(api.pool);
    environment = {
      COSTPLUS_URL: await api.server.listen({ host: '127.0.0.1', port: 0 }),
      COSTPLUS_API_KEY: api.keys.ops,
    };
    await publishBasics(run.pool);
    const rules = [{ markup: '0.25' }];
    await publishPlan(run.pool, { plan_id: 'draft', currency: 'usd', rules, submission: 'draft' }, 'test');
    await publishPlan(run.pool, { plan_id: 'sek', currency: 'sek', rules }, 'test');
    const rate = { from: 'usd', to: 'sek', rate: '10.5', effective_from: '2020-01-01T00:00:00Z', source: 'test' };
    await publishExchangeRates(run.pool, [rate], 'test');
  });
  afterAll(async () => {
    await run?.end();
    await api?.close();
  });

  const at = <T>(work: (sdk: import('stripe').default) => Promise<T>) => run.stripe.call('by hand', {}, work);
  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: OCTOBER });
  const list = async (customer_id: string) =>
    (await listIssuedInvoices(run.pool, { cursor: null, limit: 50 }, { customer_id })).data;
  /** A period of 7.50 dollars at Stripe, of two events. */
  const billed = async (id: string, plan_id = 'pro', currency = 'usd') => {
    const made = await at((sdk) => sdk.customers.create({ name: id }));
    await customer(run.pool, id, { plan_id, currency, stripe_customer_id: made.id });
    const occurred_at = '2026-10-10T00:00:00Z';
    const usage = { input_tokens: 1_000_000 };
    await run.append(['a', 'b'].map((event_id) => ({ customer_id: id, event_id, occurred_at, usage })));
    await run.close(october(id));
    return (await list(id))[0]!;
  };
  async function cli(args: string): Promise<{ code: number; out: string; error: string }> {
    const written = { out: '', error: '' };
    const code = await runCommandLine(args.split(' '), {
      environment,
      output: {
        out: (text) => {
          written.out += text;
        },
        error: (text) => {
          written.error += text;
        },
      },
    });
    return { code, ...written };
  }

  it('have their total, what they are at Stripe, and what Stripe has of the period', async () => {
    const issued = await billed('plain');
    expect(issued).toMatchObject({
      customer_id: 'plain',
      start_date: OCTOBER,
      revision: 1,
      current: true,
      status: 'invoiced',
      payment_status: 'open',
      currency: 'usd',
      subtotal: '7.50',
      total: '7.50',
      books: '7.50',
      stripe_invoice_id: expect.stringMatching(/^in_/),
      stripe_number: expect.any(String),
      stripe_subtotal: '7.50',
      credited: '0.00',
    });
  });

  it('have the books right at once after a correction, and when Stripe was read again', async () => {
    const first = await billed('corrected');
    await at((sdk) => sdk.invoices.pay(first.stripe_invoice_id!));
    await voidUsage(run.pool, 'corrected', 'a', { reason: 'sent twice', actor: 'test' });
    expect(await run.rebill(october('corrected'))).toBe('invoiced');
    const expected = [
      { revision: 1, current: false, total: '7.50', books: null, stripe_subtotal: '7.50', credited: '3.75' },
      { revision: 2, current: true, total: '3.75', books: '3.75', stripe_invoice_id: null, credited: null },
    ];
    expect(await list('corrected')).toMatchObject(expected);
    await pollStripe(run, { ageMinutes: 0, perSecond: 1_000 });
    expect(await list('corrected')).toMatchObject(expected);
    expect(run.books(october('corrected'))).toBe(375);
  });

  it('have no books yet while the draft waits for a person', async () => {
    expect(await billed('drafted', 'draft')).toMatchObject({ total: '7.50', books: null });
  });

  it('come in pages, and only those that are asked for', async () => {
    const get = async (query: string) =>
      (await api.call('GET', `/v1/invoices?${query}`, { key: api.keys.ops })).body as Page<IssuedInvoice>;
    const whole = await get('limit=100');
    expect(whole.data.length).toBeGreaterThan(3);
    const paged: IssuedInvoice[] = [];
    let cursor = '';
    do {
      const page = await get(`limit=2${cursor}`);
      paged.push(...page.data);
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
    } while (cursor !== '');
    expect(paged).toEqual(whole.data);
    const of = async (query: string) => (await get(query)).data.map((one) => `${one.customer_id} ${one.revision}`);
    expect(await of('customer_id=corrected')).toEqual(['corrected 1', 'corrected 2']);
    expect(await of('customer_id=corrected&current=true')).toEqual(['corrected 2']);
    expect(await of('from=2026-10-02')).toEqual([]);
    expect(await of(`to=${OCTOBER}`)).toEqual([]);
    expect(await of('status=parked')).toEqual([]);
    expect((await api.call('GET', '/v1/invoices?cursor=bm9uZQ', { key: api.keys.ops })).status).toBe(400);
    expect((await api.call('GET', '/v1/invoices', { key: api.keys.service })).status).toBe(403);
  });

  it('are a table, or CSV whose columns stay where they are', async () => {
    const shown = await cli('invoices --customer corrected');
    expect(shown.out).toMatch(/corrected +2026-10-01 +1 \(replaced\) +7\.50 +usd +invoiced +paid/);
    const { code, out } = await cli('invoices --customer corrected --csv');
    expect(code).toBe(EXIT_OK);
    const [head, first, second, end] = out.split('\n');
    expect(head).toBe(
      'customer_id,start_date,period_start,period_end,revision,current,status,payment_status,currency,subtotal,total,books,issued_at,stripe_invoice_id,stripe_number,stripe_status,stripe_subtotal,stripe_total,credited,content_hash',
    );
    expect(first).toContain(
      'corrected,2026-10-01,2026-10-01T00:00:00.000Z,2026-11-01T00:00:00.000Z,1,false,invoiced,paid,usd,7.50,7.50,,',
    );
    expect(second).toContain(',2,true,invoiced,');
    expect(end).toBe('');
    expect((await cli('invoices --csv --json')).code).toBe(EXIT_USAGE);
  });

  it('show beside the charge of a period, and the rate that they took', async () => {
    await billed('abroad', 'sek', 'sek');
    expect((await cli('periods --customer abroad')).out).toMatch(/78\.75 +78\.75 +sek/);
    expect((await cli(`invoice show abroad ${OCTOBER}`)).out).toMatch(/exchange rate +1 usd = 10\.5 sek/);
    expect((await cli(`invoice show plain ${OCTOBER}`)).out).not.toContain('exchange rate');
  });

  it('name the events behind a line', async () => {
    const { code, out } = await cli(`invoice usage plain ${OCTOBER} 1 1`);
    expect([code, out.split('\n').length]).toEqual([EXIT_OK, 4]);
    expect(out).toMatch(/2026-10-10T00:00:00\.000Z +a +\S+ +input_tokens=1000000 +3 +3\.75/);
    expect((await cli(`invoice usage plain ${OCTOBER} 1 1 --limit 1`)).out).toContain('There may be more');
  });

  describe('checked all at once', () => {
    it('are the same byte by byte, and the books right', async () => {
      const { code, out, error } = await cli('invoice verify --all --books --json');
      expect(code).toBe(EXIT_OK);
      const total = (await listIssuedInvoices(run.pool, { cursor: null, limit: 500 }, {})).data.length;
      expect(JSON.parse(out)).toEqual({
        revisions: total,
        verified: total,
        different: [],
        books_compared: total - 2,
        books_open: 1,
        books_differ: [],
      });
      expect(error).toMatch(new RegExp(`^${total} revisions, up to plain 2026-10-01\n$`));
    });

    it('are asked for by period or all together, never both', async () => {
      for (const args of [
        'verify',
        'verify plain',
        `verify plain ${OCTOBER} --all`,
        `verify plain ${OCTOBER} --from ${OCTOBER}`,
      ]) {
        expect((await cli(`invoice ${args}`)).code, args).toBe(EXIT_USAGE);
      }
    });

    it('say which period has something else at Stripe', async () => {
      const { stripe_invoice_id } = await billed('undone');
      await at((sdk) => sdk.invoices.voidInvoice(stripe_invoice_id!));
      await pollStripe(run, { ageMinutes: 0, perSecond: 1_000 });
      const { code, out } = await cli('invoice verify --books');
      expect(code).toBe(EXIT_FAILED);
      expect(out).toContain('undone 2026-10-01: 0.00 usd at Stripe, the newest revision is 7.50\n');
      expect((await cli('invoice verify --books --customer plain')).code).toBe(EXIT_OK);
    });

    it('say of every revision that cannot be derived again where it differs', async () => {
      await billed('tampered');
      const { rows } = await run.pool.query<{ period_id: number }>(
        `SELECT period_id FROM periods WHERE customer_id = 'tampered' AND start_date = '2026-10-01'`,
      );
      await run.pool.query('ALTER TABLE invoices DISABLE TRIGGER invoices_immutable');
      await run.pool.query(
        `UPDATE invoices SET content = replace(content, '"total":"7.50"', '"total":"7.51"') WHERE period_id = $1`,
        [rows[0]!.period_id],
      );
      await run.pool.query('ALTER TABLE invoices ENABLE TRIGGER invoices_immutable');
      const { code, out, error } = await cli('invoice verify --all');
      expect(code).toBe(EXIT_FAILED);
      expect(out).toContain('tampered 2026-10-01 revision 1 differs first at total: issued "7.51", derived "7.50".\n');
      expect(error).toContain('1 found that must not be');
    });
  });
});

describe('issued invoices whose lines stand on a subscription', () => {
  let run: SubscriptionRun;
  beforeAll(async () => {
    run = await openSubscriptionRun();
  });
  afterAll(() => run.end());

  it('have their lines counted, wherever these are', async () => {
    const { subscription, stripeCustomer } = await run.billed('rides');
    const list = async () => (await listIssuedInvoices(run.pool, { cursor: null, limit: 5 }, {})).data;
    expect(await list()).toMatchObject([
      { total: '7.50', books: '7.50', payment_status: 'pending', stripe_invoice_id: null, stripe_subtotal: null },
    ]);
    const id = run.standIn.renew(subscription);
    const object = { id, object: 'invoice', customer: stripeCustomer };
    run.standIn.issueDrafts();
    await run.deliver('invoice.finalized', object);
    expect(await list()).toMatchObject([{ books: '7.50', payment_status: 'open', stripe_invoice_id: id }]);
    await run.stripe.call('by hand', {}, (sdk) => sdk.invoices.voidInvoice(id));
    await run.deliver('invoice.voided', object);
    expect(await list()).toMatchObject([{ total: '7.50', books: '0.00', payment_status: 'voided' }]);
  });
});
