import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { receiveWebhook } from '../../src/invoicing/stripe-changes.js';
import { submitInvoice } from '../../src/invoicing/submit.js';
import { cloneDatabase } from '../support/database.js';
import { insertInvoice } from '../support/invoice-fixture.js';
import { openScenario, type Scenario } from '../support/submission.js';

const SECRET = 'whsec_test';
let events = 0;

describe('webhooks', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  const open: Scenario[] = [];

  /** A scenario whose invoice is issued. */
  const issued = async () => {
    const s = await openScenario(database.pool);
    open.push(s);
    const outcome = await s.submit();
    if (outcome.outcome !== 'confirmed') throw new Error('not confirmed');
    return { s, id: outcome.stripe_invoice_id };
  };
  const deliver = (s: Scenario, type: string, invoiceId: string, eventId = `evt_${++events}`, status = 'whatever') => {
    const payload = JSON.stringify({
      id: eventId,
      object: 'event',
      type,
      // What the event says of the invoice is never believed.
      data: { object: { id: invoiceId, object: 'invoice', status } },
    });
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
    return receiveWebhook(
      { pool: database.pool, stripe: s.stripe, webhookSecret: SECRET },
      Buffer.from(payload),
      signature,
    );
  };
  const known = async (s: Scenario) => {
    const { rows } = await database.pool.query(
      `SELECT s.stripe_status, p.payment_status FROM invoice_submissions s JOIN periods p USING (period_id)
       WHERE period_id = $1 ORDER BY revision DESC LIMIT 1`,
      [s.ref.period_id],
    );
    return rows[0];
  };
  const at = <T>(s: Scenario, work: (sdk: Stripe) => Promise<T>) => s.stripe.call('by hand', {}, work);

  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(async () => {
    for (const each of open) await each.close();
    await database.drop();
  });

  it('record payment, failure, void and write-off', async () => {
    const { s, id } = await issued();
    expect(await known(s)).toEqual({ stripe_status: 'open', payment_status: 'open' });
    await at(s, (sdk) => sdk.invoices.pay(id, { payment_method: 'pm_card_chargeDeclined' })).catch(() => undefined);
    expect(await deliver(s, 'invoice.payment_failed', id)).toBe('recorded');
    expect(await known(s)).toEqual({ stripe_status: 'open', payment_status: 'failed' });
    await at(s, (sdk) => sdk.invoices.markUncollectible(id));
    await deliver(s, 'invoice.marked_uncollectible', id);
    expect(await known(s)).toEqual({ stripe_status: 'uncollectible', payment_status: 'uncollectible' });
    await at(s, (sdk) => sdk.invoices.pay(id));
    await deliver(s, 'invoice.paid', id);
    expect(await known(s)).toEqual({ stripe_status: 'paid', payment_status: 'paid' });
    const other = await issued();
    await at(other.s, (sdk) => sdk.invoices.voidInvoice(other.id));
    await deliver(other.s, 'invoice.voided', other.id);
    expect(await known(other.s)).toEqual({ stripe_status: 'void', payment_status: 'voided' });
    const timeline = await database.pool.query(
      `SELECT detail->>'payment_status' AS status FROM period_timeline WHERE period_id = $1 AND kind = 'payment'
       ORDER BY entry_id`,
      [s.ref.period_id],
    );
    expect(timeline.rows.map((entry) => entry.status)).toEqual(['open', 'failed', 'uncollectible', 'paid']);
  });

  it('come in any order: the invoice is fetched again', async () => {
    const { s, id } = await issued();
    await at(s, (sdk) => sdk.invoices.pay(id));
    await deliver(s, 'invoice.paid', id);
    await deliver(s, 'invoice.finalized', id, undefined, 'open');
    expect(await known(s)).toEqual({ stripe_status: 'paid', payment_status: 'paid' });
  });

  it('come together: none brings an older state back', async () => {
    const { s, id } = await issued();
    // The real client, held up on its way back: meanwhile the payment is made and recorded by another delivery.
    let paid = false;
    const held = {
      call: async (name: string, caller: object, send: (sdk: Stripe) => Promise<unknown>) => {
        const read = await s.stripe.call(name, caller, send);
        if (!paid) {
          paid = true;
          await at(s, (sdk) => sdk.invoices.pay(id));
          await deliver(s, 'invoice.paid', id);
        }
        return read;
      },
    } as unknown as Scenario['stripe'];
    const payload = JSON.stringify({
      id: 'evt_held',
      object: 'event',
      type: 'invoice.finalized',
      data: { object: { id, object: 'invoice' } },
    });
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
    await receiveWebhook({ pool: database.pool, stripe: held, webhookSecret: SECRET }, Buffer.from(payload), signature);
    expect(await known(s)).toEqual({ stripe_status: 'paid', payment_status: 'paid' });
  });

  it('repeat, and are answered without another call', async () => {
    const { s, id } = await issued();
    expect(await deliver(s, 'invoice.finalized', id, 'evt_same')).toBe('recorded');
    const calls = s.standIn.state().requests.length;
    expect(await deliver(s, 'invoice.finalized', id, 'evt_same')).toBe('duplicate');
    expect(s.standIn.state().requests).toHaveLength(calls);
  });

  it('are taken again when the first time failed inside', async () => {
    const { s, id } = await issued();
    await at(s, (sdk) => sdk.invoices.pay(id));
    s.standIn.faults.order({ kind: '500_unsaved', count: 2 });
    await expect(deliver(s, 'invoice.paid', id, 'evt_again')).rejects.toMatchObject({ code: 'stripe_unavailable' });
    expect(await deliver(s, 'invoice.paid', id, 'evt_again')).toBe('recorded');
    expect(await known(s)).toMatchObject({ payment_status: 'paid' });
  });

  it('of invoices that are not ours are ignored without a call', async () => {
    const { s } = await issued();
    const calls = s.standIn.state().requests.length;
    expect(await deliver(s, 'invoice.paid', 'in_foreign')).toBe('ignored');
    expect(s.standIn.state().requests).toHaveLength(calls);
  });

  it('of an earlier revision do not speak for the period', async () => {
    const { s, id } = await issued();
    await insertInvoice(database.pool, { customerId: s.fixture.customer_id, amounts: [5], revision: 2 });
    await submitInvoice(s.deps(), { ...s.ref, revision: 2 });
    await at(s, (sdk) => sdk.invoices.voidInvoice(id));
    await deliver(s, 'invoice.voided', id);
    expect(await known(s)).toMatchObject({ payment_status: 'paid' });
    const first = await database.pool.query(
      'SELECT stripe_status FROM invoice_submissions WHERE period_id = $1 AND revision = 1',
      [s.ref.period_id],
    );
    expect(first.rows[0].stripe_status).toBe('void');
  });

  it('say that an elected draft was deleted, and follow one that a person issues by hand', async () => {
    for (const what of ['deleted', 'issued'] as const) {
      const s = await openScenario(database.pool, { mode: 'draft' });
      open.push(s);
      const drafted = await s.submit();
      if (drafted.outcome !== 'drafted') throw new Error('not drafted');
      const id = drafted.stripe_invoice_id;
      if (what === 'deleted') await at(s, (sdk) => sdk.invoices.del(id));
      else await at(s, (sdk) => sdk.invoices.finalizeInvoice(id));
      await deliver(s, 'invoice.updated', id);
      expect(await known(s)).toEqual(
        what === 'deleted'
          ? { stripe_status: 'deleted', payment_status: 'deleted' }
          : { stripe_status: 'open', payment_status: 'open' },
      );
    }
  });

  it('are refused with a wrong, stale or missing signature, and where no secret is set', async () => {
    const { s, id } = await issued();
    const payload = JSON.stringify({
      id: 'evt_forged',
      object: 'event',
      type: 'invoice.paid',
      data: { object: { id, object: 'invoice' } },
    });
    const sign = (secret: string, timestamp = Math.floor(Date.now() / 1_000)) =>
      Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
    const receive = (signature: string | undefined, webhookSecret: string | undefined = SECRET, body = payload) =>
      receiveWebhook({ pool: database.pool, stripe: s.stripe, webhookSecret }, Buffer.from(body), signature);
    const refused = { code: 'invalid_signature' };
    await expect(receive(sign('whsec_other'))).rejects.toMatchObject(refused);
    await expect(receive(sign(SECRET, Math.floor(Date.now() / 1_000) - 301))).rejects.toMatchObject(refused);
    await expect(receive(undefined)).rejects.toMatchObject(refused);
    await expect(receive(sign(SECRET), SECRET, payload.replace('paid', 'void'))).rejects.toMatchObject(refused);
    await expect(
      receiveWebhook(
        { pool: database.pool, stripe: s.stripe, webhookSecret: undefined },
        Buffer.from(payload),
        sign(SECRET),
      ),
    ).rejects.toMatchObject(refused);
    const stored = await database.pool.query(`SELECT FROM stripe_webhook_events WHERE stripe_event_id = 'evt_forged'`);
    expect(stored.rowCount).toBe(0);
  });
});
