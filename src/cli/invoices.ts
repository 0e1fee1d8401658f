import type { Command } from 'commander';
import type { InvoiceView } from '../contracts/invoice.js';
import type { PeriodView } from '../contracts/period.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { registerRevisions } from './corrections.js';
import { CommandFailure, EXIT_NOT_FOUND } from './exit-codes.js';
import { fields, table } from './output.js';

/** `costplus invoice show`, `list` and `verify`. */
export function registerInvoices(program: Command, context: CommandContext): void {
  const invoice = program.command('invoice').description('issued invoices');
  registerRevisions(invoice, context);
  describe(
    invoice
      .command('show')
      .description('an issued revision; the newest where none is named')
      .argument('<customer>')
      .argument('<start_date>', 'such as 2026-11-01')
      .argument('[revision]'),
    ['invoice show acme 2026-11-01', 'invoice show acme 2026-11-01 1 --json'],
  ).action(async (customer: string, start: string, revision: string | undefined, options: { json?: boolean }) => {
    const api = await connect(context);
    let wanted = revision;
    if (wanted === undefined) {
      const period = (await api.get(apiPath('/v1/periods/{}/{}', customer, start))) as PeriodView;
      const revisions = period.invoices.map((issued) => issued.revision);
      if (revisions.length === 0) {
        throw new CommandFailure(EXIT_NOT_FOUND, `No invoice is issued yet; the period is ${period.status}.`);
      }
      wanted = String(Math.max(...revisions));
    }
    const view = await api.get(apiPath('/v1/periods/{}/{}/invoices/{}', customer, start, wanted));
    print(context, options, view as InvoiceView, renderInvoice);
  });
}

/** An invoice, or a preview of one, for reading. */
export function renderInvoice(view: InvoiceView): string {
  const head = fields({
    customer: view.customer_id,
    period: `${view.period.start} to ${view.period.end}`,
    revision: view.revision,
    status: view.status,
    payment: view.payment_status,
    plan: view.plans.map(({ plan_id, version }) => `${plan_id} version ${version}`).join(', '),
    'catalog version': view.catalog_version,
    cost: `${view.cost} ${view.cost_currency}`,
    'stripe invoice': view.stripe_invoice_id,
    'content hash': view.content_hash,
  });
  const lines = view.lines.map((line) => [
    line.description,
    line.quantity,
    line.unit,
    line.events,
    line.cost,
    line.amount,
  ]);
  const total = fields({ subtotal: `${view.subtotal} ${view.currency}`, total: `${view.total} ${view.currency}` });
  return [head, table(['line', 'quantity', 'unit', 'events', 'cost', 'amount'], lines), total].join('\n');
}
