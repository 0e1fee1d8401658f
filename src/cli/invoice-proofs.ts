import type { Command } from 'commander';
import type { IssuedInvoice } from '../contracts/issued-invoice.js';
import type { Page } from '../contracts/page.js';
import type { PeriodView } from '../contracts/period.js';
import type { InvoiceProof } from '../invoicing/verify-invoice.js';
import { type ApiClient, apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { CommandFailure, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_USAGE } from './exit-codes.js';
import { type IssuedFlags, issuedQuery, withIssued } from './issued-invoices.js';

interface VerifyFlags extends IssuedFlags {
  all?: boolean;
  books?: boolean;
  json?: boolean;
}

/** What a walk over issued revisions found. */
interface Checked {
  revisions: number;
  /** Revisions that were derived again; 0 where only books were asked for. */
  verified: number;
  different: InvoiceProof[];
  /** Periods whose books were compared; 0 where they were not asked for. */
  books_compared: number;
  /** Periods that cannot be compared: on their way, waiting for a person, or with invoices that are Stripe's own. */
  books_open: number;
  books_differ: { customer_id: string; start_date: string; currency: string; total: string; books: string }[];
}

/** `costplus invoice verify`, on the `invoice` command. */
export function registerVerify(invoice: Command, context: CommandContext): void {
  describe(
    withIssued(
      invoice
        .command('verify')
        .argument('[customer]')
        .argument('[start_date]', 'such as 2026-11-01')
        .argument('[revision]')
        .description('derive issued revisions again and compare bytes: of a period, or of all with --all')
        .option('--all', 'all issued revisions, or those that --customer, --from and --to leave')
        .option('--books', 'compare what each period has at Stripe, as it was last read, with its newest revision'),
    ),
    [
      'invoice verify acme 2026-11-01',
      'invoice verify acme 2026-11-01 1',
      'invoice verify --all --books --from 2026-11-01 --to 2026-12-01',
    ],
  ).action(
    async (
      customer: string | undefined,
      start: string | undefined,
      revision: string | undefined,
      options: VerifyFlags,
    ) => {
      const isWalk = options.all === true || options.books === true;
      const isFiltered = [options.customer, options.from, options.to].some((flag) => flag !== undefined);
      if (isWalk ? customer !== undefined : start === undefined || isFiltered) {
        throw new CommandFailure(EXIT_USAGE, 'Name a customer and a start date, or say --all or --books.');
      }
      const api = await connect(context);
      if (!isWalk) return verifyPeriod(context, api, [customer!, start!, revision], options);
      const checked = await walk(context, api, options);
      print(context, options, checked, (found) => renderChecked(found, options));
      const faults = checked.different.length + checked.books_differ.length;
      if (faults > 0) throw new CommandFailure(EXIT_FAILED, `${faults} found that must not be; each is named above.`);
    },
  );
}

async function verifyPeriod(
  context: CommandContext,
  api: ApiClient,
  [customer, start, revision]: [string, string, string | undefined],
  options: VerifyFlags,
): Promise<void> {
  const period = (await api.get(apiPath('/v1/periods/{}/{}', customer, start))) as PeriodView;
  const wanted = revision === undefined ? period.invoices.map((one) => String(one.revision)) : [revision];
  if (wanted.length === 0) {
    throw new CommandFailure(EXIT_NOT_FOUND, `No invoice is issued yet; the period is ${period.status}.`);
  }
  const proofs: InvoiceProof[] = [];
  for (const one of wanted) proofs.push(await prove(api, customer, start, one));
  print(context, options, proofs, (all) =>
    all
      .map(
        (proof) => `revision ${proof.revision}: ${proof.matches ? `the same (${proof.issued_hash})` : 'different'}\n`,
      )
      .join(''),
  );
  const wrong = proofs.find(({ matches }) => !matches);
  if (wrong) throw new CommandFailure(EXIT_FAILED, `Revision ${wrong.revision} ${whereDifferent(wrong)}`);
}

/** Goes over issued revisions page by page, so that any number of them takes little memory. */
async function walk(context: CommandContext, api: ApiClient, options: VerifyFlags): Promise<Checked> {
  const found: Checked = {
    revisions: 0,
    verified: 0,
    different: [],
    books_compared: 0,
    books_open: 0,
    books_differ: [],
  };
  let cursor: string | undefined;
  do {
    const page = (await api.get('/v1/invoices', { ...issuedQuery(options), cursor })) as Page<IssuedInvoice>;
    for (const one of page.data) {
      found.revisions++;
      if (options.books && one.current) compareBooks(one, found);
      if (!options.all) continue;
      const proof = await prove(api, one.customer_id, one.start_date, String(one.revision));
      found.verified++;
      if (!proof.matches) found.different.push(proof);
    }
    const last = page.data.at(-1);
    if (last) context.output.error(`${found.revisions} revisions, up to ${last.customer_id} ${last.start_date}\n`);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}

function compareBooks({ customer_id, start_date, currency, total, books }: IssuedInvoice, found: Checked): void {
  if (books === null) found.books_open++;
  else found.books_compared++;
  if (books !== null && books !== total) found.books_differ.push({ customer_id, start_date, currency, total, books });
}

async function prove(api: ApiClient, customer: string, start: string, revision: string): Promise<InvoiceProof> {
  return (await api.get(apiPath('/v1/periods/{}/{}/invoices/{}/verify', customer, start, revision))) as InvoiceProof;
}

function whereDifferent({ difference }: InvoiceProof): string {
  const { path, issued, derived } = difference!;
  return `differs first at ${path}: issued ${issued}, derived ${derived}.`;
}

function renderChecked(found: Checked, { all, books }: VerifyFlags): string {
  const lines = [
    ...found.different.map(
      (proof) => `${proof.customer_id} ${proof.start_date} revision ${proof.revision} ${whereDifferent(proof)}`,
    ),
    ...found.books_differ.map(
      (one) =>
        `${one.customer_id} ${one.start_date}: ${one.books} ${one.currency} at Stripe, the newest revision is ${one.total}`,
    ),
    ...(all
      ? [`${found.verified - found.different.length} of ${found.verified} revisions are the same, byte by byte`]
      : []),
    ...(books
      ? [
          `${found.books_compared - found.books_differ.length} of ${found.books_compared} periods are at Stripe what they come to`,
        ]
      : []),
    ...(found.books_open > 0
      ? [`${found.books_open} periods are not billed yet, or their invoices are Stripe's own`]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}
