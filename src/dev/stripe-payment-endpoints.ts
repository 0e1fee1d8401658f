import { refused, StripeRefusal } from './stripe-answer.js';
import { type Endpoint, type EndpointContext, expectStatus, findInvoice, keep, seconds } from './stripe-endpoint.js';
import { newId, type StandInInvoice } from './stripe-objects.js';
import { readParameters, schemas } from './stripe-parameters.js';

/** Stripe collects by itself: charges what charges automatically, and fails where there is nothing to charge. */
export function collectInvoices(context: EndpointContext): void {
  for (const { id } of context.store.values('invoices')) {
    const invoice = findInvoice(context, id);
    const isDue = invoice.status === 'open' && invoice.auto_advance;
    if (!isDue || invoice.collection_method !== 'charge_automatically') continue;
    const customer = context.store.get('customers', invoice.customer);
    invoice.attempted = true;
    invoice.attempt_count++;
    if (customer?.invoice_settings?.default_payment_method) {
      takePayment(context, invoice, invoice.amount_remaining);
      keep(context, invoice, 'invoice.paid', 'invoice.payment_succeeded');
    } else keep(context, invoice, 'invoice.payment_failed');
  }
}

export const voidInvoice: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  const invoice = findInvoice(context, id);
  expectStatus(invoice, 'open', 'uncollectible');
  if (invoice.amount_paid > 0) {
    throw refused('You cannot void an invoice that was paid in part.', 'invoice_not_editable');
  }
  invoice.status = 'void';
  invoice.amount_remaining = 0;
  invoice.status_transitions.voided_at = seconds(context);
  return keep(context, invoice, 'invoice.voided');
};

export const markUncollectible: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  const invoice = findInvoice(context, id);
  expectStatus(invoice, 'open');
  invoice.status = 'uncollectible';
  invoice.status_transitions.marked_uncollectible_at = seconds(context);
  return keep(context, invoice, 'invoice.marked_uncollectible');
};

/** Stripe's own test card that is always declined; every other payment succeeds. */
const DECLINED = 'pm_card_chargeDeclined';

export const payInvoice: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.pay, params);
  const invoice = findInvoice(context, id);
  expectStatus(invoice, 'open', 'uncollectible');
  invoice.attempted = true;
  invoice.attempt_count++;
  if (asked.payment_method === DECLINED) {
    keep(context, invoice, 'invoice.payment_failed');
    throw new StripeRefusal(
      402,
      { type: 'card_error', code: 'card_declined', message: 'Your card was declined.' },
      true,
    );
  }
  if (asked.paid_out_of_band) invoice.amount_paid_off_stripe += invoice.amount_remaining;
  takePayment(context, invoice, invoice.amount_remaining);
  return keep(context, invoice, 'invoice.paid', 'invoice.payment_succeeded');
};

function takePayment(context: EndpointContext, invoice: StandInInvoice, amount: number): void {
  invoice.amount_paid += amount;
  invoice.amount_remaining -= amount;
  if (invoice.amount_remaining > 0) return;
  invoice.status = 'paid';
  invoice.status_transitions.paid_at = seconds(context);
}

/** A payment of a part arrives, by a payment intent that was attached to the invoice (minor units). */
export function payPart(context: EndpointContext, id: string, amount: number): void {
  const invoice = findInvoice(context, id);
  expectStatus(invoice, 'open', 'uncollectible');
  if (amount <= 0 || amount > invoice.amount_remaining) {
    throw refused('A payment is at most what remains of the invoice.', 'amount_too_large', 'amount');
  }
  takePayment(context, invoice, amount);
  const payment = { id: newId('inpay'), object: 'invoice_payment', invoice: id, amount_paid: amount, status: 'paid' };
  context.emit('invoice_payment.paid', payment);
  keep(context, invoice, ...(invoice.status === 'paid' ? ['invoice.paid', 'invoice.payment_succeeded'] : []));
}
