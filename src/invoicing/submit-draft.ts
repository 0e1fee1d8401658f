import type Stripe from 'stripe';
import type { Plan } from '../contracts/plan.js';
import type { StripeOptions } from '../contracts/stripe-options.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { isMissingReference, isRefused } from '../stripe/stripe-errors.js';
import { META_GENERATION, META_HASH, META_INVOICE } from './draft-check.js';
import { lineCalls, productsOfCredits } from './draft-lines.js';
import { type InvoiceToSubmit, type RevisionRef, recordDraft } from './submission-store.js';
import { call, type SubmitDeps, step } from './submit-attempt.js';

export interface SubmitRef extends RevisionRef {
  /** `draft` leaves the elected draft for a person to finalize at Stripe. */
  mode: 'draft' | 'stripe';
  collection: Plan['collection'];
  /** Tax, footer, memo and fields, as the plan says. */
  stripe?: StripeOptions | undefined;
}

/** One attempt at a submission. */
export interface Attempt {
  deps: SubmitDeps;
  ref: SubmitRef;
  invoice: InvoiceToSubmit;
  /** Grows with each attempt; also the generation of the draft that it makes. */
  number: number;
  /** When the submission's first attempt began. */
  startedAt: Date;
}

/** Ends an attempt with a reason for a person. */
export class Parked extends Error {}

/** Makes this generation's draft with all its lines. Nothing it does can collect money: `auto_advance` is off. */
export async function makeDraft(attempt: Attempt, customer: string): Promise<string> {
  const { deps, ref, invoice, number } = attempt;
  const body: Stripe.InvoiceCreateParams = {
    customer,
    currency: invoice.currency,
    auto_advance: false,
    collection_method: ref.collection.method,
    ...(ref.collection.method === 'send_invoice' ? { days_until_due: ref.collection.days_until_due } : {}),
    pending_invoice_items_behavior: 'exclude',
    // Keeps coupons of the customer out: discounts are lines that were composed.
    discounts: '',
    ...presentation(attempt),
    metadata: {
      [META_INVOICE]: invoice.key,
      [META_HASH]: invoice.content_hash,
      [META_GENERATION]: String(number),
    },
  };
  const idempotencyKey = stepKey(invoice.key, number, 'create', body);
  const draft = await create(attempt, body, idempotencyKey);
  await step(deps, 'record draft', () => recordDraft(deps.pool, ref, number, draft.id));
  const taxes = { default_tax_code: ref.stripe?.default_tax_code, of_products: await taxCodesOfCredits(attempt) };
  for (const one of lineCalls(invoice, taxes)) {
    // An outcome that stays unknown after the replay ends the attempt: the next one makes a draft of its own.
    if ('lines' in one) {
      const key = stepKey(invoice.key, number, 'lines', [draft.id, one.lines]);
      await call(deps, 'add lines', (sdk) =>
        sdk.invoices.addLines(draft.id, { lines: one.lines }, { idempotencyKey: key }),
      );
      continue;
    }
    const item = { ...one.credit, customer, invoice: draft.id, discountable: false };
    const key = stepKey(invoice.key, number, 'lines', item);
    await call(deps, 'add credit', (sdk) => sdk.invoiceItems.create(item, { idempotencyKey: key }));
  }
  return draft.id;
}

/** The tax codes of the products that credits name. A key that may not read products sends those credits without. */
async function taxCodesOfCredits({ deps, invoice }: Attempt): Promise<Map<string, string>> {
  const codes = new Map<string, string>();
  for (const product of productsOfCredits(invoice)) {
    try {
      const { tax_code } = await call(deps, 'retrieve product', (sdk) => sdk.products.retrieve(product));
      const code = typeof tax_code === 'string' ? tax_code : tax_code?.id;
      if (code !== undefined) codes.set(product, code);
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }
  return codes;
}

async function create(
  { deps, invoice }: Attempt,
  body: Stripe.InvoiceCreateParams,
  idempotencyKey: string,
): Promise<Stripe.Invoice> {
  try {
    return await call(deps, 'create draft', (sdk) => sdk.invoices.create(body, { idempotencyKey }));
  } catch (error) {
    if (!isMissingReference(error)) throw error;
    throw new Parked(customerGone(invoice.customer_id, String(body.customer)));
  }
}

export function customerGone(customerId: string, stripeCustomerId: string): string {
  return `Stripe has no customer ${stripeCustomerId} (any more); give ${customerId} another one, and release the period.`;
}

/** The rates that an invoice was exchanged at, one a line; its own currency needs none. */
function rateLines({ currency, exchange_rates }: InvoiceToSubmit): string[] {
  return Object.entries(exchange_rates)
    .filter(([from]) => from !== currency)
    .map(([from, rate]) => `Rate: 1 ${from} = ${rate} ${currency}`);
}

/** What the plan says of the invoice beside its lines, the rates in it, and where its details can be read. */
function presentation({ deps, ref, invoice }: Attempt): Partial<Stripe.InvoiceCreateParams> {
  const { automatic_tax, footer, memo, custom_fields } = ref.stripe ?? {};
  const link = deps.detailsLinks?.urlOf({ ...invoice, revision: ref.revision }) ?? null;
  const details = link === null ? undefined : `Details of usage: ${link}`;
  const bottom = [footer, ...rateLines(invoice), details].filter((part) => part !== undefined).join('\n');
  return {
    ...(automatic_tax === undefined ? {} : { automatic_tax: { enabled: automatic_tax } }),
    ...(bottom === '' ? {} : { footer: bottom }),
    ...(memo === undefined ? {} : { description: memo }),
    ...(custom_fields === undefined ? {} : { custom_fields }),
  };
}
