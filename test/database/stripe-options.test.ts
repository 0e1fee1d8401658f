import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composePeriod } from '../../src/closing/compose-period.js';
import { sealClosing } from '../../src/closing/steps.js';
import { submitPeriod } from '../../src/closing/submit-period.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { type Plan, planSchema } from '../../src/contracts/plan.js';
import { startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { submitInvoice } from '../../src/invoicing/submit.js';
import { publishExchangeRates } from '../../src/ledger/exchange-rates.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { StripeClient } from '../../src/stripe/client.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { insertInvoice } from '../support/invoice-fixture.js';
import { customer, publishBasics } from '../support/ledger.js';

const RULES = { rules: [{ markup: '0.25' }] };

describe('an invoice at Stripe', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-10-01' });
  const at = <T>(work: (sdk: import('stripe').default) => Promise<T>) => run.stripe.call('by hand', {}, work);
  /** A period with usage that costs 3 dollars a million, on a plan of its own; not closed yet. */
  const used = async (id: string, plan: Partial<Plan>, tokens = 2_000_000) => {
    await publishPlan(run.pool, { plan_id: id, currency: 'usd', ...RULES, ...plan }, 'test');
    const made = await at((sdk) => sdk.customers.create({ name: id }));
    const currency = plan.currency ?? 'usd';
    await customer(run.pool, id, { plan_id: id, currency, stripe_customer_id: made.id });
    await run.append([
      { customer_id: id, event_id: 'a', occurred_at: '2026-10-10T00:00:00Z', usage: { input_tokens: tokens } },
    ]);
    return { ref: october(id), stripe_customer: made.id };
  };
  const invoiceOf = (stripeCustomer: string) =>
    run.standIn.state().invoices.find((invoice) => invoice.customer === stripeCustomer)!;

  it('carries the footer, memo and custom fields of the plan', async () => {
    const stripe = {
      footer: 'VAT DE123',
      memo: 'Thank you',
      custom_fields: [{ name: 'Order', value: '4711' }],
      default_tax_code: 'txcd_10103001',
    };
    const { ref, stripe_customer } = await used('worded', { stripe });
    await run.close(ref);
    expect(invoiceOf(stripe_customer)).toMatchObject({
      footer: 'VAT DE123',
      description: 'Thank you',
      custom_fields: stripe.custom_fields,
      automatic_tax: { enabled: false },
    });
    const lines = run.standIn.state().requests.filter(({ path }) => path.endsWith('/add_lines'));
    expect(lines.at(-1)!.params).toMatchObject({
      lines: [{ price_data: { currency: 'usd', unit_amount: '750', product_data: { tax_code: 'txcd_10103001' } } }],
    });
  });

  it('says in the footer at which rate it was exchanged', async () => {
    const rate = { from: 'usd', to: 'sek', rate: '10.5', effective_from: '2020-01-01T00:00:00Z', source: 'test' };
    await publishExchangeRates(run.pool, [rate], 'test');
    const { ref, stripe_customer } = await used('exchanged', { currency: 'sek', stripe: { footer: 'VAT SE123' } });
    await run.close(ref);
    expect(invoiceOf(stripe_customer).footer).toBe('VAT SE123\nRate: 1 usd = 10.5 sek');
    // A rate that is published later says nothing of what was issued.
    await publishExchangeRates(run.pool, [{ ...rate, rate: '11' }], 'test');
    await run.append([
      {
        customer_id: 'exchanged',
        event_id: 'b',
        occurred_at: '2026-10-11T00:00:00Z',
        usage: { input_tokens: 1_000_000 },
      },
    ]);
    await run.rebill(ref);
    const footers = run.standIn.state().invoices.filter(({ customer }) => customer === stripe_customer);
    expect(footers.map(({ footer }) => footer)).toEqual(footers.map(() => 'VAT SE123\nRate: 1 usd = 10.5 sek'));
    expect(footers).toHaveLength(2);
    const plain = await used('not-exchanged', {});
    await run.close(plain.ref);
    expect(invoiceOf(plain.stripe_customer).footer).toBeNull();
  });

  it('takes no more of them than Stripe does', () => {
    const plan = (stripe: object) => planSchema.safeParse({ plan_id: 'p', currency: 'usd', ...RULES, stripe }).success;
    const fields = (count: number) => Array.from({ length: count }, () => ({ name: 'n', value: 'v' }));
    expect(plan({ custom_fields: fields(4) })).toBe(true);
    expect(plan({ custom_fields: fields(5) })).toBe(false);
    expect(plan({ custom_fields: [{ name: 'n'.repeat(41), value: 'v' }] })).toBe(false);
    expect(plan({ custom_fields: [{ name: 'n', value: 'v'.repeat(141) }] })).toBe(false);
    expect(plan({ default_tax_code: 'vat' })).toBe(false);
  });

  describe('with automatic tax', () => {
    it('has tax on top: the total is another, and that is no difference', async () => {
      const { ref, stripe_customer } = await used('taxed', { stripe: { automatic_tax: true } });
      await at((sdk) => sdk.customers.update(stripe_customer, { address: { country: 'DE' } }));
      expect(await run.close(ref)).toBe('invoiced');
      expect(await run.invoice(ref, 1)).toMatchObject({ total: '7.50', stripe_total: '9.00', stripe_status: 'open' });
      expect((await readPeriodView(run.pool, ref.customer_id, ref.start_date)).stripe_alerts).toEqual([]);
    });

    it.each([
      ['a tax code', { tax_code: 'txcd_10103001' }],
      ['a product that has one', { product: 'prod_ai_txcd_10103001' }],
      ['a product without one', { product: 'prod_ai' }],
      ['nothing: the default of the plan', undefined],
    ])('falls on what a credit leaves: usage and its allowance name %s', async (name, reference) => {
      const id = `net-${name.replaceAll(/\W+/g, '-')}`;
      // 7% for what we sell, 20% by the account's preset.
      run.standIn.setTax({ behavior: 'exclusive', basis_points: 2_000, by_tax_code: { txcd_10103001: 700 } });
      const { ref, stripe_customer } = await used(id, {
        stripe: { automatic_tax: true, default_tax_code: 'txcd_10103001' },
        allowance: { charge: '2.50' },
        ...(reference === undefined
          ? {}
          : { lines: { group_by: [], stripe: { usage: reference, allowance: reference } } }),
      } as Partial<Plan>);
      await at((sdk) => sdk.customers.update(stripe_customer, { address: { country: 'DE' } }));
      expect(await run.close(ref)).toBe('invoiced');
      const preset = reference !== undefined && 'product' in reference && reference.product === 'prod_ai';
      // 7.50 less 2.50, and 7% (or 20%) of 5.00.
      expect(await run.invoice(ref, 1)).toMatchObject({ total: '5.00', stripe_total: preset ? '6.00' : '5.35' });
      const { lines } = invoiceOf(stripe_customer);
      expect(lines.map(({ amount }) => amount)).toEqual([750, -250]);
      run.standIn.setTax({ behavior: 'exclusive', basis_points: 2_000, by_tax_code: {} });
    });

    it('has each credit once, wherever an attempt was killed beside them', async () => {
      for (const point of ['before add credit', 'after add credit', 'after retrieve product']) {
        const id = `killed-${point.replaceAll(' ', '-')}`;
        const reference = { product: 'prod_ai_txcd_10103001' };
        const { ref, stripe_customer } = await used(id, {
          allowance: { charge: '2.50' },
          lines: { group_by: [], stripe: { usage: reference, allowance: reference } },
        } as Partial<Plan>);
        await run.command(ref, 'close');
        await sealClosing(run, ref);
        await composePeriod(run, ref);
        let kills = 0;
        const failpoint = (name: string) => {
          if (name !== point || kills > 0) return;
          kills++;
          throw new Error('killed');
        };
        const deps = { ...run, heartbeat: () => undefined, failpoint };
        await expect(submitPeriod(deps, ref)).rejects.toThrow('killed');
        expect(await submitPeriod(deps, ref)).toMatchObject({ status: 'invoiced' });
        const ours = run.standIn.state().invoices.filter((invoice) => invoice.customer === stripe_customer);
        expect(ours.map(({ status, lines }) => [status, lines.map(({ amount }) => amount)])).toEqual([
          ['open', [750, -250]],
        ]);
      }
    });

    it('leaves a credit plain whose product cannot be read', async () => {
      const { ref, stripe_customer } = await used('unreadable', {
        allowance: { charge: '2.50' },
        lines: { group_by: [], stripe: { allowance: { product: 'prod_missing' } } },
      } as Partial<Plan>);
      expect(await run.close(ref)).toBe('invoiced');
      expect(invoiceOf(stripe_customer).lines.map(({ amount, tax_code }) => [amount, tax_code])).toEqual([
        [750, null],
        [-250, null],
      ]);
    });

    it('parks with the reason where Stripe cannot compute it, and is issued when that is put right', async () => {
      const { ref, stripe_customer } = await used('untaxed', { stripe: { automatic_tax: true } });
      await expect(run.close(ref)).rejects.toThrow(
        /Stripe could not issue in_\w+: customer_tax_location_invalid \(automatic tax: requires_location_inputs\)/,
      );
      await run.command(ref, 'release');
      await expect(run.drive(ref)).rejects.toThrow('customer_tax_location_invalid');
      await at((sdk) => sdk.customers.update(stripe_customer, { address: { country: 'DE' } }));
      await run.command(ref, 'release');
      expect(await run.drive(ref)).toBe('invoiced');
      const ours = run.standIn.state().invoices.filter((invoice) => invoice.customer === stripe_customer);
      expect(ours.map(({ status, total }) => [status, total])).toEqual([['open', 900]]);
    });
  });

  describe('of an amount that is too small to be charged', () => {
    it('is paid, and says what it moved to the balance of the customer', async () => {
      // 0.25 dollars: below Stripe's half a dollar.
      const { ref } = await used('small', {}, 66_666);
      expect(await run.close(ref)).toBe('invoiced');
      expect(await run.invoice(ref, 1)).toMatchObject({
        total: '0.25',
        payment_status: 'paid',
        stripe_total: '0.25',
        stripe_to_balance: '0.25',
      });
      const view = await readPeriodView(run.pool, ref.customer_id, ref.start_date);
      expect(view).toMatchObject({ payment_status: 'paid', stripe_alerts: [] });
    });

    it('moves nothing where it is charged', async () => {
      const { ref } = await used('large', {});
      await run.close(ref);
      expect(await run.invoice(ref, 1)).toMatchObject({ payment_status: 'open', stripe_to_balance: '0.00' });
    });
  });

  describe('in another currency', () => {
    // 7.50 dollars at the rate, rounded half away from zero to what the currency can be billed in.
    it.each([
      { currency: 'jpy', rate: '151.37', total: '1135', minor: 1_135 },
      { currency: 'kwd', rate: '0.30712', total: '2.300', minor: 2_300 },
      { currency: 'isk', rate: '138.21', total: '1037.00', minor: 103_700 },
      { currency: 'ugx', rate: '3571.2', total: '26784.00', minor: 2_678_400 },
      { currency: 'eur', rate: '0.9187', total: '6.89', minor: 689 },
    ])('$currency is submitted, paid and corrected', async ({ currency, rate, total, minor }) => {
      const effective_from = '2026-01-01T00:00:00Z';
      await publishExchangeRates(
        run.pool,
        [{ from: 'usd', to: currency, rate, effective_from, source: 'test' }],
        'test',
      );
      const { ref, stripe_customer } = await used(`in-${currency}`, { currency });
      expect(await run.close(ref)).toBe('invoiced');
      expect(await run.invoice(ref, 1)).toMatchObject({ total, currency, stripe_total: total });
      const invoice = invoiceOf(stripe_customer);
      expect(invoice).toMatchObject({ currency, subtotal: minor, total: minor, amount_due: minor });
      // More usage after payment: one more invoice for the difference, in the same currency.
      await at((sdk) => sdk.invoices.pay(invoice.id));
      await run.append([
        {
          customer_id: ref.customer_id,
          event_id: 'late',
          occurred_at: '2026-10-11T00:00:00Z',
          usage: { input_tokens: 1_111_111 },
        },
      ]);
      expect(await run.rebill(ref)).toBe('invoiced');
      expect(run.books(ref)).toBe(Number((await run.newest(ref)).total.replace('.', '')));
    });
  });

  describe('of a customer on a test clock', () => {
    const scenario = async (mode: 'test' | 'live') => {
      const standIn = await startStripeStandIn({
        directory: null,
        environment: {},
        secretKey: `sk_${mode}_${randomBytes(12).toString('hex')}`,
      });
      const stripe = new StripeClient({ ...standIn, apiBase: standIn.url, pool: run.pool, callsPerSecond: 100_000 });
      const body = mode === 'test' ? { test_clock: `clock_${Date.parse('2020-01-01T00:00:00Z') / 1_000}` } : {};
      const made = await stripe.call('customer', {}, (sdk) => sdk.customers.create(body));
      const fixture = await insertInvoice(run.pool, {
        amounts: [1_000],
        customerId: `${mode}-clock`,
        stripeCustomerId: made.id,
      });
      const ref = { ...fixture, mode: 'stripe' as const, collection: { method: 'charge_automatically' as const } };
      const submit = (failpoint?: (name: string) => void) =>
        submitInvoice({ pool: run.pool, stripe, heartbeat: () => undefined, failpoint }, ref);
      return { standIn, submit };
    };

    it('whose time is years ago: what a lost attempt made is found all the same', async () => {
      const { standIn, submit } = await scenario('test');
      const lost = (name: string) => {
        if (name === 'after create draft') throw new Error('killed');
      };
      await expect(submit(lost)).rejects.toThrow('killed');
      expect(await submit()).toMatchObject({ outcome: 'confirmed' });
      expect(standIn.state().invoices.map(({ status }) => status)).toEqual(['open']);
      await standIn.close();
    });

    it('is not looked for with a live key: lists begin with the period', async () => {
      const { standIn, submit } = await scenario('live');
      await submit();
      const lists = standIn.state().requests.filter(({ method, path }) => method === 'GET' && path === '/v1/invoices');
      expect(lists.map(({ params }) => typeof params.created)).toEqual(['object']);
      await standIn.close();
    });
  });
});
