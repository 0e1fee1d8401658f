import { formatMinor } from '../money/currency.js';
import type { StandInInvoice } from './stripe-objects.js';

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** The page behind `hosted_invoice_url`: what the customer would see. Null for an invoice that has none yet. */
export function invoicePage(invoice: StandInInvoice | undefined): string | null {
  if (!invoice || invoice.number === null) return null;
  const money = (minor: number) => `${formatMinor(BigInt(minor), invoice.currency)} ${invoice.currency.toUpperCase()}`;
  const rows = invoice.lines.map(
    (line) => `<tr><td>${escapeHtml(line.description ?? '')}</td><td class="amount">${money(line.amount)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Invoice ${escapeHtml(invoice.number)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}table{width:100%;border-collapse:collapse}
td{border-top:1px solid #ccc;padding:.4rem 0}.amount{text-align:right;white-space:nowrap}</style></head>
<body><h1>Invoice ${escapeHtml(invoice.number)}</h1><p>Status: ${invoice.status}. This is the local Stripe stand-in: nothing is collected.</p>
<table>${rows.join('\n')}<tr><td><strong>Total</strong></td><td class="amount"><strong>${money(invoice.total)}</strong></td></tr></table>
</body></html>`;
}
