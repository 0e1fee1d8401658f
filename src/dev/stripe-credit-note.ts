import type { z } from 'zod';
import { billableStepMinor } from '../money/currency.js';
import { badParameter, refused } from './stripe-answer.js';
import {
  newId,
  type StandInCreditNote,
  type StandInCreditNoteLine,
  type StandInInvoice,
  type StandInLine,
} from './stripe-objects.js';
import type { schemas } from './stripe-parameters.js';
import { share, sumTaxes, totalTaxes } from './stripe-tax.js';

type Asked = z.infer<(typeof schemas)['creditNote']>;
type AskedLine = NonNullable<Asked['lines']>[number];

/** What earlier credit notes took off one line of an invoice. */
interface Credited {
  amount: number;
  discount: number;
  /** By tax rate. */
  taxes: Map<string, number>;
}

/**
 * A credit note as it would be issued on the invoice as it stands (pure but for its id). Throws a refusal for what Stripe
 * does not take: more than a line or the invoice has left, a total that is not positive.
 */
export function composeCreditNote(
  invoice: StandInInvoice,
  earlier: StandInCreditNote[],
  asked: Asked,
  created: number,
): StandInCreditNote {
  const step = Number(billableStepMinor(invoice.currency));
  if ((asked.amount ?? 0) % step !== 0) {
    throw badParameter('amount', `Amounts in ${invoice.currency} must be multiples of ${step}`);
  }
  const lines: StandInCreditNoteLine[] = [];
  for (const [at, line] of (asked.lines ?? []).entries()) {
    lines.push(creditLine(invoice, [...earlier, { lines }], line, at));
  }
  const sum = (of: (line: StandInCreditNoteLine) => number) => lines.reduce((total, line) => total + of(line), 0);
  const taxes = lines.flatMap((line) => line.taxes);
  const discount = sum((line) => line.discount_amount);
  const subtotal = asked.amount ?? sum((line) => line.amount);
  const total = subtotal - discount + sumTaxes(taxes, 'exclusive');
  if (total <= 0) throw refused('The total of a credit note must be positive.', 'credit_note_amount_invalid', 'lines');
  const given = earlier.reduce((all, note) => all + note.total, 0);
  if (total > invoice.total - given) {
    throw refused('Credit notes cannot exceed the invoice.', 'credit_note_amount_too_large', 'amount');
  }
  const pre = Math.min(total, invoice.status === 'paid' ? 0 : invoice.amount_remaining);
  return {
    id: newId('cn'),
    object: 'credit_note',
    created,
    invoice: invoice.id,
    customer: invoice.customer,
    currency: invoice.currency,
    number: `${invoice.number}-CN-${String(earlier.length + 1).padStart(2, '0')}`,
    amount: total,
    total,
    subtotal,
    total_excluding_tax: subtotal - discount - sumTaxes(taxes, 'inclusive'),
    total_taxes: totalTaxes(taxes),
    discount_amount: discount,
    pre_payment_amount: pre,
    post_payment_amount: total - pre,
    type: pre === total ? 'pre_payment' : pre === 0 ? 'post_payment' : 'mixed',
    out_of_band_amount: asked.out_of_band_amount ?? null,
    lines,
    credit_amount: asked.credit_amount ?? 0,
    refund_amount: asked.refund_amount ?? 0,
    reason: asked.reason ?? null,
    memo: asked.memo ?? null,
    status: 'issued',
    livemode: false,
    metadata: asked.metadata ?? {},
  };
}

function creditLine(
  invoice: StandInInvoice,
  earlier: Pick<StandInCreditNote, 'lines'>[],
  asked: AskedLine,
  at: number,
): StandInCreditNoteLine {
  const param = `lines[${at}]`;
  if (asked.type === 'custom_line_item') {
    if (invoice.automatic_tax.enabled) {
      throw badParameter(`${param}[type]`, 'Custom line items are not possible on an invoice with automatic tax.');
    }
    return {
      ...EMPTY,
      id: newId('cnli'),
      type: 'custom_line_item',
      amount: asked.unit_amount * asked.quantity,
      description: asked.description,
      quantity: asked.quantity,
      taxes: [],
    };
  }
  const line = invoice.lines.find(({ id }) => id === asked.invoice_line_item);
  if (!line) throw refused('No such invoice line item', 'resource_missing', `${param}[invoice_line_item]`);
  const before = creditedOf(line, earlier);
  const whole = asked.amount === undefined;
  if (whole && asked.quantity !== line.quantity) {
    throw refused('There is not that quantity left to credit.', 'credit_note_line_item_invalid', `${param}[quantity]`);
  }
  const wanted = whole ? line.amount - before.amount : grossOf(invoice, line, before, asked.amount ?? 0);
  const [floor, ceiling] = line.amount < 0 ? [line.amount - before.amount, -1] : [1, line.amount - before.amount];
  if (wanted < floor || wanted > ceiling) {
    throw refused(
      'A line item can be credited by what is left of it.',
      'credit_note_line_item_invalid',
      `${param}[amount]`,
    );
  }
  // What is credited of a line, with what was before, takes its share of the line's discounts and taxes.
  const part = (of: number) => share(of, before.amount + wanted, line.amount);
  const discounts = line.discount_amounts.reduce((sum, { amount }) => sum + amount, 0);
  return {
    ...EMPTY,
    id: newId('cnli'),
    type: 'invoice_line_item',
    amount: wanted,
    description: line.description,
    discount_amount: part(discounts) - before.discount,
    invoice_line_item: line.id,
    quantity: whole ? line.quantity : null,
    taxes: line.taxes.map((tax) => ({
      ...tax,
      amount: part(tax.amount) - (before.taxes.get(tax.tax_rate_details.tax_rate) ?? 0),
      taxable_amount: wanted,
    })),
  };
}

const EMPTY = { object: 'credit_note_line_item', discount_amount: 0, livemode: false } as const;

function creditedOf(line: StandInLine, earlier: Pick<StandInCreditNote, 'lines'>[]): Credited {
  const credited: Credited = { amount: 0, discount: 0, taxes: new Map() };
  for (const one of earlier.flatMap((note) => note.lines)) {
    if (one.invoice_line_item !== line.id) continue;
    credited.amount += one.amount;
    credited.discount += one.discount_amount;
    for (const { amount, tax_rate_details } of one.taxes) {
      credited.taxes.set(tax_rate_details.tax_rate, (credited.taxes.get(tax_rate_details.tax_rate) ?? 0) + amount);
    }
  }
  return credited;
}

/** With automatic tax the amount of a credited line is without its inclusive tax; what it comes to with it. */
function grossOf(invoice: StandInInvoice, line: StandInLine, before: Credited, amount: number): number {
  const inclusive = sumTaxes(line.taxes, 'inclusive');
  if (!invoice.automatic_tax.enabled || inclusive === 0) return amount;
  const taxed = line.taxes.filter((tax) => tax.tax_behavior === 'inclusive');
  const taxBefore = taxed.reduce(
    (sum, { tax_rate_details: { tax_rate } }) => sum + (before.taxes.get(tax_rate) ?? 0),
    0,
  );
  const net = line.amount - inclusive;
  const netAfter = before.amount - taxBefore + amount;
  return amount + share(inclusive, netAfter, net) - taxBefore;
}
