import { refused } from './stripe-answer.js';
import { composeCreditNote } from './stripe-credit-note.js';
import {
  type Endpoint,
  type EndpointContext,
  expectStatus,
  findCustomer,
  findInvoice,
  keep,
  pageOf,
  seconds,
} from './stripe-endpoint.js';
import type { FormParams } from './stripe-form.js';
import { listOf, renderCreditNote, type StandInCreditNote, type StandInInvoice } from './stripe-objects.js';
import { readParameters, schemas } from './stripe-parameters.js';

/** The credit note that a request asks for, on the invoice as it is. Throws a refusal. */
function compose(context: EndpointContext, params: FormParams): { invoice: StandInInvoice; note: StandInCreditNote } {
  const asked = readParameters(schemas.creditNote, params);
  const invoice = findInvoice(context, asked.invoice);
  expectStatus(invoice, 'open', 'paid', 'uncollectible');
  const note = composeCreditNote(invoice, issuedOn(context, invoice.id), asked, seconds(context));
  return { invoice, note };
}

function issuedOn(context: EndpointContext, invoiceId: string): StandInCreditNote[] {
  return context.store.values('credit_notes').filter((note) => note.invoice === invoiceId && note.status === 'issued');
}

/** What was paid is given back in parts that make it up exactly. */
function expectParts(context: EndpointContext, invoice: StandInInvoice, note: StandInCreditNote): void {
  if (note.credit_amount + note.refund_amount + (note.out_of_band_amount ?? 0) !== note.post_payment_amount) {
    throw refused(
      'The sum of credit amount, refund amount and out of band amount must equal the post-payment amount.',
      'credit_note_amount_invalid',
      'amount',
    );
  }
  const refunded = issuedOn(context, invoice.id).reduce((sum, { refund_amount }) => sum + refund_amount, 0);
  if (note.refund_amount > invoice.amount_paid - invoice.amount_paid_off_stripe - refunded) {
    throw refused('There is not that much payment to give back.', 'refund_amount_too_large', 'refund_amount');
  }
}

/** Without parts it says how much there is to give back. */
export const previewCreditNote: Endpoint = (context, _id, params) => {
  const { invoice, note } = compose(context, params);
  if (note.credit_amount + note.refund_amount + (note.out_of_band_amount ?? 0) > 0) {
    expectParts(context, invoice, note);
  }
  return renderCreditNote(note);
};

export const createCreditNote: Endpoint = (context, _id, params) => {
  const { invoice, note } = compose(context, params);
  expectParts(context, invoice, note);
  if (note.credit_amount > 0) {
    const customer = findCustomer(context, invoice.customer, 400);
    customer.balance -= note.credit_amount;
    context.store.put('customers', customer.id, customer);
  }
  invoice.pre_payment_credit_notes_amount += note.pre_payment_amount;
  invoice.post_payment_credit_notes_amount += note.post_payment_amount;
  invoice.amount_due -= note.pre_payment_amount;
  invoice.amount_remaining -= note.pre_payment_amount;
  const settles = invoice.status !== 'paid' && invoice.amount_remaining === 0;
  if (settles) {
    invoice.status = 'paid';
    invoice.status_transitions.paid_at = seconds(context);
  }
  context.store.put('credit_notes', note.id, note);
  keep(context, invoice, 'invoice.updated', ...(settles ? ['invoice.paid'] : []));
  context.emit('credit_note.created', renderCreditNote(note));
  return renderCreditNote(note);
};

export const voidCreditNote: Endpoint = (context, id, params) => {
  readParameters(schemas.creditNoteVoid, params);
  const note = findCreditNote(context, id);
  const invoice = findInvoice(context, note.invoice);
  expectStatus(invoice, 'open');
  const voided: StandInCreditNote = { ...note, status: 'void' };
  context.store.put('credit_notes', id, voided);
  invoice.pre_payment_credit_notes_amount -= note.pre_payment_amount;
  invoice.amount_due += note.pre_payment_amount;
  invoice.amount_remaining += note.pre_payment_amount;
  keep(context, invoice, 'invoice.updated');
  context.emit('credit_note.voided', renderCreditNote(voided));
  return renderCreditNote(voided);
};

function findCreditNote(context: EndpointContext, id: string): StandInCreditNote {
  const note = context.store.get('credit_notes', id);
  if (!note) throw refused(`No such credit note: '${id}'`, 'resource_missing', 'credit_note', 404);
  return note;
}

export const listCreditNotes: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.creditNoteList, params);
  const found = context.store
    .values('credit_notes')
    .reverse()
    .filter((it) => (asked.invoice ?? it.invoice) === it.invoice && (asked.customer ?? it.customer) === it.customer);
  const page = pageOf(found, asked.starting_after, asked.limit);
  return listOf('/v1/credit_notes', page.map(renderCreditNote), asked.limit);
};

export const listCreditNoteLines: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.lineList, params);
  const { lines } = findCreditNote(context, id);
  return listOf(`/v1/credit_notes/${id}/lines`, pageOf(lines, asked.starting_after, asked.limit), asked.limit);
};
