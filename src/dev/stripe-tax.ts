import type { StandInInvoice, StandInLine, StandInLineTax, StandInTaxRate } from './stripe-objects.js';

/** What the stand-in's Stripe Tax takes: an account's settings, the same in every country. */
export interface StandInTax {
  behavior: 'exclusive' | 'inclusive';
  basis_points: number;
  /** Tax codes with a rate of their own. */
  by_tax_code: Record<string, number>;
}

export const DEFAULT_TAX: StandInTax = { behavior: 'exclusive', basis_points: 2_000, by_tax_code: {} };

/** `whole * part / of`, rounded half away from zero; whole minor units. */
export function share(whole: number, part: number, of: number): number {
  if (of === 0) return 0;
  const product = BigInt(whole) * BigInt(part);
  const divisor = BigInt(of);
  const negative = product < 0n !== divisor < 0n;
  const [top, bottom] = [product < 0n ? -product : product, divisor < 0n ? -divisor : divisor];
  const rounded = Number((2n * top + bottom) / (2n * bottom));
  return negative ? -rounded : rounded;
}

/** The rate of a line under Stripe Tax: of its tax code, else of the account. */
export function automaticRate(tax: StandInTax, line: Pick<StandInLine, 'tax_code'>): StandInTaxRate {
  const points = tax.by_tax_code[line.tax_code ?? ''] ?? tax.basis_points;
  return { id: `txr_${tax.behavior}_${points}`, basis_points: points, inclusive: tax.behavior === 'inclusive' };
}

/** What discounts leave of a line. */
export function discounted(line: Pick<StandInLine, 'amount' | 'discount_amounts'>): number {
  return line.amount - line.discount_amounts.reduce((sum, { amount }) => sum + amount, 0);
}

/**
 * Puts taxes on the lines of an invoice. Each rate is rounded once over all its lines, as Stripe does by default; the
 * lines share what came out.
 */
export function taxLines(invoice: StandInInvoice, ratesOf: (line: StandInLine) => StandInTaxRate[]): void {
  const groups = new Map<string, { base: number; tax: number }>();
  for (const line of invoice.lines) {
    const net = discounted(line);
    line.taxes = ratesOf(line).map((rate): StandInLineTax => {
      const group = groups.get(rate.id) ?? { base: 0, tax: 0 };
      const base = group.base + net;
      const tax = share(base, rate.basis_points, rate.inclusive ? 10_000 + rate.basis_points : 10_000);
      groups.set(rate.id, { base, tax });
      return {
        amount: tax - group.tax,
        tax_behavior: rate.inclusive ? 'inclusive' : 'exclusive',
        tax_rate_details: { tax_rate: rate.id },
        taxability_reason: rate.basis_points === 0 ? 'zero_rated' : 'standard_rated',
        taxable_amount: net,
        type: 'tax_rate_details',
      };
    });
  }
}

export function sumTaxes(taxes: StandInLineTax[], behavior: StandInLineTax['tax_behavior']): number {
  return taxes.filter((tax) => tax.tax_behavior === behavior).reduce((sum, { amount }) => sum + amount, 0);
}

/** The taxes of many lines as one for each rate. */
export function totalTaxes(taxes: StandInLineTax[]): StandInLineTax[] {
  const totals = new Map<string, StandInLineTax>();
  for (const tax of taxes) {
    const key = tax.tax_rate_details.tax_rate;
    const total = totals.get(key) ?? { ...tax, amount: 0, taxable_amount: 0 };
    totals.set(key, {
      ...total,
      amount: total.amount + tax.amount,
      taxable_amount: total.taxable_amount + tax.taxable_amount,
    });
  }
  return [...totals.values()];
}

/** Adds up an invoice from its lines, their discounts and taxes, while it is a draft. */
export function addUp(invoice: StandInInvoice): void {
  const sum = (of: (line: StandInLine) => number) => invoice.lines.reduce((total, line) => total + of(line), 0);
  const taxes = invoice.lines.flatMap((line) => line.taxes);
  invoice.subtotal = sum((line) => line.amount);
  const net = sum(discounted);
  invoice.total = net + sumTaxes(taxes, 'exclusive');
  invoice.total_excluding_tax = net - sumTaxes(taxes, 'inclusive');
  invoice.total_taxes = totalTaxes(taxes);
  invoice.total_discount_amounts = invoice.discounts.map((discount) => ({
    discount: discount.id,
    amount: sum((line) =>
      line.discount_amounts.filter((one) => one.discount === discount.id).reduce((all, { amount }) => all + amount, 0),
    ),
  }));
  invoice.amount_due = Math.max(0, invoice.total);
  invoice.amount_remaining = invoice.amount_due;
}

/** Shares the invoice's discounts out to the lines that take one: each after the one before it. */
export function discountLines(invoice: StandInInvoice): void {
  for (const line of invoice.lines) line.discount_amounts = [];
  for (const { id, basis_points, amount_off } of invoice.discounts) {
    const lines = invoice.lines.filter((line) => line.discountable && line.amount > 0);
    const base = lines.reduce((sum, line) => sum + discounted(line), 0);
    const off = Math.min(base, amount_off ?? share(base, basis_points, 10_000));
    let [seen, given] = [0, 0];
    for (const line of lines) {
      seen += discounted(line);
      const amount = share(off, seen, base) - given;
      given += amount;
      line.discount_amounts.push({ amount, discount: id });
    }
  }
}
