import { type Command, Option } from 'commander';
import type { IssuedInvoice } from '../contracts/issued-invoice.js';
import { PERIOD_STATUSES } from '../contracts/period.js';
import { type CommandContext, connect, describe, parseCount, print } from './context.js';
import { table } from './output.js';

/** Columns of the CSV file, in this order for ever: new ones come last. */
const CSV_COLUMNS = [
  'customer_id',
  'start_date',
  'period_start',
  'period_end',
  'revision',
  'current',
  'status',
  'payment_status',
  'currency',
  'subtotal',
  'total',
  'books',
  'issued_at',
  'stripe_invoice_id',
  'stripe_number',
  'stripe_status',
  'stripe_subtotal',
  'stripe_total',
  'credited',
  'content_hash',
] as const;

/** Which issued revisions a command is about. */
export interface IssuedFlags {
  customer?: string;
  from?: string;
  to?: string;
}

interface ListFlags extends IssuedFlags {
  status?: string;
  current?: boolean;
  limit: number;
  csv?: boolean;
  json?: boolean;
}

/** `costplus invoices`. */
export function registerIssuedInvoices(program: Command, context: CommandContext): void {
  describe(withIssued(program.command('invoices').description('list issued revisions, for accounting')), [
    'invoices --from 2026-11-01 --to 2026-12-01 --current',
    'invoices --customer acme --csv > acme.csv',
  ])
    .option('--status <status>', `of periods in this status only: ${PERIOD_STATUSES.join(', ')}`)
    .option('--current', 'only the newest revision of each period')
    .option('--limit <count>', 'at most this many', parseCount, 1_000)
    .addOption(new Option('--csv', 'print CSV').conflicts('json'))
    .action(async (options: ListFlags) => {
      const query = {
        ...issuedQuery(options),
        status: options.status,
        current: options.current ? 'true' : undefined,
      };
      const invoices = (await (await connect(context)).list('/v1/invoices', query, options.limit)) as IssuedInvoice[];
      if (!options.csv) return print(context, options, invoices, renderInvoices);
      const { csvChunks } = await import('../invoicing/csv-rows.js');
      for (const chunk of csvChunks(CSV_COLUMNS, invoices.map(toCells))) context.output.out(chunk);
    });
}

/** Adds the options that say which revisions are meant. */
export function withIssued(command: Command): Command {
  return command
    .option('--customer <id>', 'of this customer only')
    .option('--from <date>', 'of periods that start on this date or later')
    .option('--to <date>', 'and before this one');
}

/** The query of a list for these options. */
export function issuedQuery({ customer, from, to }: IssuedFlags): Record<string, string | undefined> {
  return { customer_id: customer, from, to };
}

function toCells({ period, ...invoice }: IssuedInvoice): (string | number)[] {
  const flat = { ...invoice, current: String(invoice.current), period_start: period.start, period_end: period.end };
  return CSV_COLUMNS.map((column) => flat[column] ?? '');
}

function renderInvoices(invoices: IssuedInvoice[]): string {
  if (invoices.length === 0) return 'No invoices.\n';
  return table(
    ['customer', 'start', 'revision', 'total', 'currency', 'status', 'payment', 'books', 'stripe invoice', 'number'],
    invoices.map((one) => [
      one.customer_id,
      one.start_date,
      one.current ? one.revision : `${one.revision} (replaced)`,
      one.total,
      one.currency,
      one.status,
      one.payment_status,
      one.books,
      one.stripe_invoice_id,
      one.stripe_number,
    ]),
  );
}
