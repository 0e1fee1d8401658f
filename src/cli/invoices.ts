import type { Command } from 'commander';
import type { InvoiceView } from '../contracts/invoice.js';
import type { PeriodView } from '../contracts/period.js';
import { type Fraction, formatScaled, parseDecimal, roundToInteger } from '../money/fraction.js';
import { type ApiClient, apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { registerRevisions } from './corrections.js';
import { CommandFailure, EXIT_NOT_FOUND } from './exit-codes.js';
import { registerLineUsage } from './invoice-lines.js';
import { registerVerify } from './invoice-proofs.js';
import { registerIssuedInvoices } from './issued-invoices.js';
import { fields, table } from './output.js';

/** `costplus invoices` and `costplus invoice ...`. */
export function registerInvoices(program: Command, context: CommandContext): void {
  registerIssuedInvoices(program, context);
  const invoice = program.command('invoice').description('issued invoices');
  registerRevisions(invoice, context);
  registerVerify(invoice, context);
  registerLineUsage(invoice, context);
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
    const wanted = revision ?? (await newestRevision(api, customer, start));
    const view = await api.get(apiPath('/v1/periods/{}/{}/invoices/{}', customer, start, wanted));
    print(context, options, view as InvoiceView, renderInvoice);
  });
  describe(
    invoice
      .command('details-link')
      .description("the link to the customer's detail file of a revision; the newest where none is named")
      .argument('<customer>')
      .argument('<start_date>', 'such as 2026-11-01')
      .argument('[revision]'),
    ['invoice details-link acme 2026-11-01', 'invoice details-link acme 2026-11-01 1 --json'],
  ).action(async (customer: string, start: string, revision: string | undefined, options: { json?: boolean }) => {
    const api = await connect(context);
    const wanted = revision ?? (await newestRevision(api, customer, start));
    const link = await api.get(apiPath('/v1/periods/{}/{}/invoices/{}/details-link', customer, start, wanted));
    print(context, options, link as DetailsLink, renderLink);
  });
}

async function newestRevision(api: ApiClient, customer: string, start: string): Promise<string> {
  const period = (await api.get(apiPath('/v1/periods/{}/{}', customer, start))) as PeriodView;
  const revisions = period.invoices.map((issued) => issued.revision);
  if (revisions.length === 0) {
    throw new CommandFailure(EXIT_NOT_FOUND, `No invoice is issued yet; the period is ${period.status}.`);
  }
  return String(Math.max(...revisions));
}

interface DetailsLink {
  revision: number;
  current_revision: number;
  path: string;
  url: string | null;
}

/** The link alone, so that it can be handed on; without PUBLIC_URL only the API's own address is known. */
function renderLink({ revision, current_revision, path, url }: DetailsLink): string {
  const replaced = current_revision === revision ? '' : `\nrevision ${current_revision} is current`;
  return `${url ?? `${path} (PUBLIC_URL is not set)`}${replaced}`;
}

function subscriptionFields(lines: InvoiceView['subscription']) {
  if (lines === null) return {};
  return {
    subscription: lines.stripe_subscription_id,
    'lines that wait': lines.pending_lines === 0 ? null : lines.pending_lines,
    'lines deleted at stripe': lines.deleted_lines === 0 ? null : lines.deleted_lines,
  };
}

/** The rates that it was exchanged at; its own currency needs none. */
function rateFields({ currency, exchange_rates }: InvoiceView): Record<string, string> {
  const foreign = Object.entries(exchange_rates).filter(([from]) => from !== currency);
  if (foreign.length === 0) return {};
  return { 'exchange rate': foreign.map(([from, rate]) => `1 ${from} = ${rate} ${currency}`).join(', ') };
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
    ...subscriptionFields(view.subscription),
    ...rateFields(view),
    'content hash': view.content_hash,
  });
  const lines = view.lines.map((line) => [
    line.description,
    line.quantity,
    line.unit,
    line.events,
    line.cost,
    line.amount,
    percentage(line.markup),
    percentage(line.margin),
  ]);
  const total = fields({
    subtotal: `${view.subtotal} ${view.currency}`,
    total: `${view.total} ${view.currency}`,
    ...ratesOver(view),
  });
  const columns = ['line', 'quantity', 'unit', 'events', 'cost', 'amount', 'markup', 'margin'];
  return [head, table(columns, lines), total].join('\n');
}

/** What a total is over its cost, both ways of saying it; nothing where there is no cost or no charge. */
export function ratesOver(
  { markup, margin }: Pick<InvoiceView, 'markup' | 'margin'>,
  of = 'total',
): Record<string, string> {
  if (markup === null || margin === null) return {};
  return { markup: `${percentage(markup)} of the cost`, margin: `${percentage(margin)} of the ${of}` };
}

/** A number of the API to reckon with for reading: exact values are shown whole there, however many places they have. */
export function parseShown(text: string): Fraction {
  return parseDecimal(text.replace(/(\.\d{18})\d+$/, '$1'));
}

/** A share in percent, two places, half away from zero: `0.428571` is `42.86%`. */
function percentage(share: string | null): string | null {
  if (share === null) return null;
  const { n, d } = parseShown(share);
  return `${formatScaled(roundToInteger({ n: n * 10_000n, d }), 2)}%`;
}
