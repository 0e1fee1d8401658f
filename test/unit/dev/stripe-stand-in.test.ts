import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Stripe from 'stripe';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  refuseBesideRealStripe,
  STAND_IN_SECRET_KEY,
  type StandInOptions,
  type StripeStandIn,
  startStripeStandIn,
} from '../../../src/dev/stripe-stand-in.js';

const environment = {};
const HOUR = 3_600_000;

function connect(standIn: StripeStandIn, key = standIn.secretKey): Stripe {
  const { hostname, port } = new URL(standIn.url);
  return new Stripe(key, {
    host: hostname,
    port,
    protocol: 'http',
    maxNetworkRetries: 0,
    timeout: 300,
    telemetry: false,
  });
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: Stripe.errors.StripeError) =>
      `${error.statusCode ?? ''} ${error.code ?? error.rawType ?? error.type}`.trim(),
  );

describe('the Stripe stand-in', () => {
  let standIn: StripeStandIn;
  let stripe: Stripe;
  const open: { close: () => Promise<void> }[] = [];
  const start = async (options: Partial<StandInOptions> = {}) => {
    const started = await startStripeStandIn({ directory: null, environment, ...options });
    open.push(started);
    return started;
  };
  const newCustomer = () => stripe.customers.create({ name: 'Acme' });
  const newDraft = async (currency = 'usd') => stripe.invoices.create({ customer: (await newCustomer()).id, currency });

  beforeEach(async () => {
    standIn = await start();
    stripe = connect(standIn);
  });
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });

  describe('keeps idempotency keys as Stripe does', () => {
    const keyed = { idempotencyKey: 'key-1' };
    const customersMade = () => standIn.state().customers.length;

    it('answers the same key and body with the same answer, and executes once', async () => {
      const first = await stripe.customers.create({ name: 'Acme' }, keyed);
      const second = await stripe.customers.create({ name: 'Acme' }, keyed);
      expect(second.id).toBe(first.id);
      expect(second.lastResponse.headers['idempotent-replayed']).toBe('true');
      expect(customersMade()).toBe(1);
    });

    it('refuses the same key with another body', async () => {
      await stripe.customers.create({ name: 'Acme' }, keyed);
      expect(await codeOf(stripe.customers.create({ name: 'Other' }, keyed))).toBe('400 idempotency_error');
    });

    it('executes another key', async () => {
      await stripe.customers.create({ name: 'Acme' }, keyed);
      await stripe.customers.create({ name: 'Acme' }, { idempotencyKey: 'key-2' });
      expect(customersMade()).toBe(2);
    });

    it('answers 409 while the first request of a key executes', async () => {
      standIn.faults.order({ kind: 'slow', delay_ms: 150 });
      const first = stripe.customers.create({ name: 'Acme' }, keyed);
      await expect.poll(() => standIn.state().requests.length).toBe(1);
      expect(await codeOf(stripe.customers.create({ name: 'Acme' }, keyed))).toBe('409 idempotency_key_in_use');
      const { id } = await first;
      expect((await stripe.customers.create({ name: 'Acme' }, keyed)).id).toBe(id);
    });

    it('replays a saved 500, with and without effect', async () => {
      standIn.faults.order({ kind: '500_saved' });
      expect(await codeOf(stripe.customers.create({}, keyed))).toBe('500 api_error');
      expect(await codeOf(stripe.customers.create({}, keyed))).toBe('500 api_error');
      expect(customersMade()).toBe(0);
      standIn.faults.order({ kind: '500_saved_after' });
      expect(await codeOf(stripe.customers.create({}, { idempotencyKey: 'key-2' }))).toBe('500 api_error');
      expect(await codeOf(stripe.customers.create({}, { idempotencyKey: 'key-2' }))).toBe('500 api_error');
      expect(customersMade()).toBe(1);
    });

    it('replays an executed 400 although its reason is gone', async () => {
      const { id } = await newDraft();
      await stripe.invoices.finalizeInvoice(id);
      const late = () => codeOf(stripe.invoices.addLines(id, { lines: [{ amount: 1 }] }, keyed));
      expect(await late()).toBe('400 invoice_not_editable');
      expect(await late()).toBe('400 invoice_not_editable');
      expect(standIn.state().requests.filter((it) => it.path.endsWith('add_lines'))).toHaveLength(2);
      const missing = () => codeOf(stripe.invoices.create({ customer: 'cus_none' }, { idempotencyKey: 'key-2' }));
      expect(await missing()).toBe('400 resource_missing');
      expect(await missing()).toBe('400 resource_missing');
      expect(await codeOf(stripe.invoices.create({ customer: 'cus_other' }, { idempotencyKey: 'key-2' }))).toBe(
        '400 idempotency_error',
      );
    });

    it.each([
      ['refused parameters', () => undefined, () => stripe.customers.create({ nonsense: 'x' } as object, keyed)],
      ['a 429', () => standIn.faults.order({ kind: '429' }), () => stripe.customers.create({ name: 'Other' }, keyed)],
      [
        'a 500 in front of the endpoint',
        () => standIn.faults.order({ kind: '500_unsaved' }),
        () => stripe.customers.create({ name: 'Other' }, keyed),
      ],
      ['a 401', () => undefined, () => connect(standIn, 'sk_test_wrong').customers.create({ name: 'Other' }, keyed)],
    ])('does not save %s', async (_what, prepare, send) => {
      prepare();
      expect(await codeOf(send())).not.toBe('no error');
      // The key is as good as new: another body is no conflict.
      await stripe.customers.create({ name: 'Acme' }, keyed);
      expect(customersMade()).toBe(1);
    });

    it('forgets a key when it is 24 hours old: the same key executes again', async () => {
      await stripe.customers.create({ name: 'Acme' }, keyed);
      standIn.advance(24 * HOUR - 60_000);
      await stripe.customers.create({ name: 'Acme' }, keyed);
      expect(customersMade()).toBe(1);
      standIn.advance(60_000);
      await stripe.customers.create({ name: 'Acme' }, keyed);
      expect(customersMade()).toBe(2);
    });

    it('gives keys no effect on GET and DELETE', async () => {
      const { id } = await newDraft();
      expect((await stripe.invoices.retrieve(id, {}, keyed)).id).toBe(id);
      await stripe.invoices.del(id, {}, keyed);
      expect(await codeOf(stripe.invoices.del(id, {}, keyed))).toBe('404 resource_missing');
    });
  });

  describe('keeps invoices as Stripe does', () => {
    it('gives a draft no number, and counts lines into the subtotal', async () => {
      const { id } = await newDraft();
      const draft = await stripe.invoices.addLines(id, {
        lines: [{ amount: 700 }, { amount: -200, description: 'Credit' }],
      });
      expect(draft).toMatchObject({ status: 'draft', number: null, subtotal: 500, total: 500, auto_advance: false });
    });

    it('shows 10 lines of an invoice and pages the rest', async () => {
      const { id } = await newDraft();
      const lines = Array.from({ length: 25 }, (_, index) => ({ amount: index + 1 }));
      const draft = await stripe.invoices.addLines(id, { lines });
      expect(draft.lines.data).toHaveLength(10);
      expect(draft.lines.has_more).toBe(true);
      const all: number[] = [];
      for await (const line of stripe.invoices.listLineItems(id, { limit: 10 })) all.push(line.amount);
      expect(all).toEqual(lines.map((line) => line.amount));
    });

    it('holds at most 250 lines', async () => {
      const { id } = await newDraft();
      const lines = (count: number) => ({ lines: Array.from({ length: count }, () => ({ amount: 1 })) });
      await stripe.invoices.addLines(id, lines(249));
      expect(await codeOf(stripe.invoices.addLines(id, lines(2)))).toBe('400 invoice_too_many_line_items');
      await stripe.invoices.addLines(id, lines(1));
    });

    it.each([
      ['isk', 150],
      ['kwd', 5],
      ['ugx', 1],
    ])('refuses amounts in %s that cannot be paid', async (currency, amount) => {
      const { id } = await newDraft(currency);
      expect(await codeOf(stripe.invoices.addLines(id, { lines: [{ amount }] }))).toMatch(/^400/);
      await stripe.invoices.addLines(id, { lines: [{ amount: 1_000 }] });
    });

    it('numbers invoices of one customer in the order of their finalization', async () => {
      const customer = (await newCustomer()).id;
      const numbers: (string | null)[] = [];
      for (let i = 0; i < 2; i++) {
        const { id } = await stripe.invoices.create({ customer });
        numbers.push((await stripe.invoices.finalizeInvoice(id)).number);
      }
      expect(numbers.map((number) => number?.slice(-5))).toEqual(['-0001', '-0002']);
    });

    it('walks draft, open, paid, void and uncollectible, and nothing else', async () => {
      const issue = async () => {
        const { id } = await newDraft();
        await stripe.invoices.addLines(id, { lines: [{ amount: 5_000 }] });
        expect((await stripe.invoices.finalizeInvoice(id)).status).toBe('open');
        return id;
      };
      const first = await issue();
      expect(await codeOf(stripe.invoices.finalizeInvoice(first))).toBe('400 invoice_not_editable');
      expect(await codeOf(stripe.invoices.del(first))).toBe('400 invoice_not_editable');
      expect((await stripe.invoices.pay(first)).status).toBe('paid');
      expect(await codeOf(stripe.invoices.voidInvoice(first))).toBe('400 invoice_not_editable');
      const second = await issue();
      expect(await codeOf(stripe.invoices.pay(second, { payment_method: 'pm_card_chargeDeclined' }))).toBe(
        '402 card_declined',
      );
      expect(await stripe.invoices.retrieve(second)).toMatchObject({ status: 'open', attempt_count: 1 });
      expect((await stripe.invoices.markUncollectible(second)).status).toBe('uncollectible');
      expect((await stripe.invoices.voidInvoice(second)).status).toBe('void');
    });

    it('carries what is too small or negative to the customer’s balance', async () => {
      const customer = (await newCustomer()).id;
      const issue = async (amount: number) => {
        const { id } = await stripe.invoices.create({ customer });
        await stripe.invoices.addLines(id, { lines: [{ amount }] });
        return stripe.invoices.finalizeInvoice(id);
      };
      expect(await issue(-400)).toMatchObject({ status: 'paid', total: -400, amount_due: 0, ending_balance: -400 });
      expect(await issue(1_000)).toMatchObject({
        status: 'open',
        total: 1_000,
        starting_balance: -400,
        amount_due: 600,
      });
      expect(await issue(30)).toMatchObject({ status: 'paid', amount_due: 0, ending_balance: 30 });
    });

    it('lists the newest first, by customer and time, page by page', async () => {
      const customer = (await newCustomer()).id;
      const made: string[] = [];
      for (let i = 0; i < 3; i++) {
        made.unshift((await stripe.invoices.create({ customer })).id);
        standIn.advance(HOUR);
      }
      await newDraft();
      const listed: string[] = [];
      for await (const invoice of stripe.invoices.list({ customer, limit: 2 })) listed.push(invoice.id);
      expect(listed).toEqual(made);
      const { created } = await stripe.invoices.retrieve(made[1]!);
      const since = await stripe.invoices.list({ customer, created: { gte: created } });
      expect(since.data.map((invoice) => invoice.id)).toEqual(made.slice(0, 2));
    });

    it('issues credit notes against open and paid invoices', async () => {
      const { id } = await newDraft();
      await stripe.invoices.addLines(id, { lines: [{ amount: 5_000 }] });
      await stripe.invoices.finalizeInvoice(id);
      const note = await stripe.creditNotes.create({ invoice: id, amount: 2_000 });
      expect((await stripe.invoices.retrieve(id)).amount_remaining).toBe(3_000);
      await stripe.invoices.pay(id);
      expect(await codeOf(stripe.creditNotes.create({ invoice: id, amount: 500 }))).toBe(
        '400 credit_note_amount_invalid',
      );
      await stripe.creditNotes.create({ invoice: id, amount: 500, credit_amount: 500 });
      const notes = await stripe.creditNotes.list({ invoice: id });
      expect(notes.data.map((it) => it.amount)).toEqual([500, 2_000]);
      expect(note.number).toMatch(/-0001-CN-01$/);
    });

    it.each([
      ['an unknown parameter', { nonsense: '1' }],
      ['days until due where it charges', { days_until_due: 3 }],
      ['sending without a due date', { collection_method: 'send_invoice' }],
      ['a metadata value of 501 characters', { metadata: { k: 'x'.repeat(501) } }],
    ])('refuses %s', async (_what, more) => {
      const customer = (await newCustomer()).id;
      expect(await codeOf(stripe.invoices.create({ customer, ...more }))).toMatch(/^400/);
    });

    it('answers 401 to a key that is not its own', async () => {
      expect(await codeOf(connect(standIn, 'sk_live_something').customers.list())).toMatch(/^401/);
    });
  });

  it('loses answers and requests on demand, and executes late what arrives late', async () => {
    const made = () => standIn.state().customers.length;
    for (const kind of ['timeout_before', 'timeout_after'] as const) {
      standIn.faults.order({ kind });
      expect(await codeOf(newCustomer())).toBe('StripeConnectionError');
    }
    expect(made()).toBe(1);
    // stripe-node repeats a connection that was reset once by itself, with the same key.
    standIn.faults.order({ kind: 'reset_before', count: 2 });
    expect(await codeOf(newCustomer())).toBe('StripeConnectionError');
    expect(made()).toBe(1);
    standIn.faults.order({ kind: 'reset_after', count: 1 });
    await newCustomer();
    expect(made()).toBe(2);
    standIn.faults.order({ kind: 'delay', delay_ms: 400 });
    expect(await codeOf(newCustomer())).toBe('StripeConnectionError');
    expect(made()).toBe(2);
    await expect.poll(made).toBe(3);
  });

  it('takes faults, clock and questions over its control paths', async () => {
    const post = (path: string, body: object) =>
      fetch(`${standIn.url}${path}`, { method: 'POST', body: JSON.stringify(body) }).then((answer) => answer.status);
    expect(await post('/_faults', { match: { method: 'POST', path: 'customers' }, kind: '500_unsaved' })).toBe(200);
    expect(await post('/_faults', { kind: 'nonsense' })).toBe(400);
    expect(await codeOf(newCustomer())).toBe('500 api_error');
    expect(await post('/_clock', { advance_seconds: 86_400 })).toBe(200);
    await newCustomer();
    const state = (await (await fetch(`${standIn.url}/_state`)).json()) as ReturnType<StripeStandIn['state']>;
    expect(state.customers[0]!.created).toBeGreaterThan(Date.now() / 1_000 + 86_000);
    expect(state.requests.map((it) => [it.method, it.path, it.params, it.status])).toEqual([
      ['POST', '/v1/customers', { name: 'Acme' }, 500],
      ['POST', '/v1/customers', { name: 'Acme' }, 200],
    ]);
  });

  it('keeps its state over a restart, keys and clock included', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stand-in-'));
    const first = await start({ directory });
    const client = connect(first);
    const customer = await client.customers.create({ name: 'Acme' }, { idempotencyKey: 'key-1' });
    const { id } = await client.invoices.create({ customer: customer.id });
    await client.invoices.addLines(id, { lines: [{ amount: 900, metadata: { costplus_line: '1' } }] });
    first.advance(HOUR);
    // Not closed: a second one reads what a killed process leaves.
    const second = await start({ directory });
    expect(second.state().now_ms).toBeGreaterThan(Date.now() + HOUR - 60_000);
    const again = connect(second);
    expect((await again.customers.create({ name: 'Acme' }, { idempotencyKey: 'key-1' })).id).toBe(customer.id);
    expect((await again.invoices.retrieve(id)).lines.data[0]).toMatchObject({
      amount: 900,
      metadata: { costplus_line: '1' },
    });
    await again.invoices.del(id);
    await second.close();
    const third = await start({ directory });
    expect(third.state().invoices).toEqual([]);
    await third.close();
    await first.close();
    open.splice(0);
    await rm(directory, { recursive: true });
  });

  it('delivers signed events, again until they are taken', async () => {
    const taken: Stripe.Event[] = [];
    let refusals = 2;
    const receiver = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const signature = request.headers['stripe-signature'] as string;
        const event = Stripe.webhooks.constructEvent(Buffer.concat(parts), signature, 'whsec_test');
        const refuse = refusals-- > 0;
        if (!refuse) taken.push(event);
        response.writeHead(refuse ? 503 : 200).end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const { port } = receiver.address() as AddressInfo;
    standIn = await start({ webhookUrl: `http://127.0.0.1:${port}/hook`, webhookSecret: 'whsec_test' });
    stripe = connect(standIn);
    const { id } = await newDraft();
    await stripe.invoices.addLines(id, { lines: [{ amount: 100 }] });
    await stripe.invoices.finalizeInvoice(id);
    await stripe.invoices.pay(id);
    await expect.poll(() => standIn.state().pending_events, { timeout: 10_000 }).toBe(0);
    expect(new Set(taken.map((event) => event.type))).toEqual(
      new Set([
        'customer.created',
        'invoice.created',
        'invoice.updated',
        'invoice.finalized',
        'invoice.paid',
        'invoice.payment_succeeded',
      ]),
    );
    expect(taken.find((event) => event.type === 'invoice.finalized')!.data.object).toMatchObject({
      id,
      status: 'open',
    });
    await new Promise((resolve) => receiver.close(resolve));
  });

  it('shows an issued invoice as a page', async () => {
    const { id } = await newDraft();
    await stripe.invoices.addLines(id, { lines: [{ amount: 12_345, description: 'Usage <of> a model' }] });
    const { hosted_invoice_url } = await stripe.invoices.finalizeInvoice(id);
    const page = await (await fetch(hosted_invoice_url!)).text();
    expect(page).toContain('Usage &#60;of&#62; a model');
    expect(page).toContain('123.45 USD');
  });

  it('does not start beside a key of real Stripe', async () => {
    const real = { STRIPE_SECRET_KEY: 'sk_live_1' };
    await expect(startStripeStandIn({ directory: null, environment: real })).rejects.toMatchObject({
      code: 'configuration',
    });
    expect(() => refuseBesideRealStripe({ STRIPE_SECRET_KEY: STAND_IN_SECRET_KEY })).not.toThrow();
    expect(() => refuseBesideRealStripe({})).not.toThrow();
  });
});
