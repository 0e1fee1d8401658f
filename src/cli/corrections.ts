import type { Command } from 'commander';
import type { CommandAnswer } from '../contracts/engine.js';
import type { IssuedRevision } from '../contracts/invoice.js';
import type { WaitingLateView } from '../contracts/period.js';
import type { RebillPreview } from '../invoicing/rebill-preview.js';
import type { VoidedUsage } from '../ledger/void-usage.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { fields, table } from './output.js';
import { planNames, readNamedPlan } from './plan-names.js';

interface RebillFlags {
  reason: string;
  requestId?: string;
  dryRun?: boolean;
  catalog: string;
  plans: string;
  plan?: string;
  refund: string;
  json?: boolean;
}

/** `costplus period rebill`, on the `period` command. */
export function registerRebill(period: Command, context: CommandContext): void {
  describe(
    period
      .command('rebill')
      .description('bill a sealed period again, from the ledger as it stands')
      .argument('<customer>')
      .argument('<start_date>', 'such as 2026-11-01'),
    [
      'period rebill acme 2026-11-01 --reason "usage was sent twice" --dry-run',
      'period rebill acme 2026-11-01 --reason "usage was sent twice" --refund refund',
      'period rebill acme 2026-11-01 --reason "the contract said growth" --plan growth@3 --dry-run',
    ],
  )
    .requiredOption('--reason <text>', 'why; kept in the timeline and the audit log')
    .option('--dry-run', 'show the difference, do nothing')
    .option('--catalog <version>', 'prices: pinned (as sealed) or newest', 'pinned')
    .option('--plans <which>', 'plans: pinned (as sealed) or assigned (as they are now)', 'pinned')
    .option(
      '--plan <plan[@version]>',
      'the plan that should have been in force; the newest version where none is named',
    )
    .option('--refund <where>', 'what was paid too much: to the balance, or a refund', 'balance')
    .option('--request-id <id>', 'the same id does nothing twice')
    .action(async (customer: string, start: string, options: RebillFlags) => {
      const answer = await (await connect(context)).post(apiPath('/v1/periods/{}/{}/rebill', customer, start), {
        reason: options.reason,
        dry_run: options.dryRun ?? false,
        catalog: options.catalog,
        plans: options.plans,
        ...(options.plan === undefined ? {} : { plan: readNamedPlan(options.plan) }),
        refund: options.refund,
        ...(options.requestId === undefined ? {} : { request_id: options.requestId }),
      });
      if (options.dryRun) return print(context, options, answer as RebillPreview, renderPreview);
      print(context, options, answer as CommandAnswer, ({ status, applied }) =>
        applied ? `The period is now ${status}.\n` : `This request was answered before; the period is ${status}.\n`,
      );
    });
}

/** `costplus invoice list`, on the `invoice` command. */
export function registerRevisions(invoice: Command, context: CommandContext): void {
  describe(
    invoice
      .command('list')
      .argument('<customer>')
      .argument('<start_date>', 'such as 2026-11-01')
      .description('all issued revisions of a period, and what each has at Stripe'),
    ['invoice list acme 2026-11-01'],
  ).action(async (customer: string, start: string, options: { json?: boolean }) => {
    const path = apiPath('/v1/periods/{}/{}/invoices', customer, start);
    const { data } = (await (await connect(context)).get(path)) as { data: IssuedRevision[] };
    print(context, options, data, renderRevisions);
  });
}

/** `costplus usage void`, on the `usage` command. */
export function registerVoid(usage: Command, context: CommandContext): void {
  describe(
    usage
      .command('void')
      .description('take back accepted usage that was wrong, for ever')
      .argument('<customer>')
      .argument('<event>'),
    ['usage void acme evt_1 --reason "a test run, sent by mistake"'],
  )
    .requiredOption('--reason <text>', 'why; kept in the trail and the audit log')
    .action(async (customer: string, event: string, options: { reason: string; json?: boolean }) => {
      const answer = await (await connect(context)).post(apiPath('/v1/usage/{}/{}/void', customer, event), {
        reason: options.reason,
      });
      print(context, options, answer as VoidedUsage, (voided) =>
        [
          voided.applied ? 'The usage is voided.\n' : `It was voided before, at ${voided.voided_at}.\n`,
          voided.rebill_needed ? `Its period ${voided.period!.start_date} is sealed: bill it again.\n` : '',
        ].join(''),
      );
    });
}

/** `costplus late-usage list` and `costplus late-usage carry`. */
export function registerLateUsage(program: Command, context: CommandContext): void {
  const late = program.command('late-usage').description('usage that reached a sealed period');
  describe(late.command('list').description('sealed periods with late usage that waits'), [
    'late-usage list',
    'late-usage list --customer acme --json',
  ])
    .option('--customer <id>', 'of this customer only')
    .action(async (options: { customer?: string; json?: boolean }) => {
      const api = await connect(context);
      const { data } = (await api.get('/v1/late-usage', { customer_id: options.customer })) as {
        data: WaitingLateView[];
      };
      print(context, options, data, renderLate);
    });
  describe(
    late
      .command('carry')
      .description(
        'let it go into the next period that is sealed (its own, if none is to come), whatever the plan says',
      )
      .argument('<customer>')
      .argument('<start_date>', 'such as 2026-11-01'),
    ['late-usage carry acme 2026-11-01 --reason "agreed with the customer"'],
  )
    .requiredOption('--reason <text>', 'why; kept in the timeline and the audit log')
    .action(async (customer: string, start: string, options: { reason: string; json?: boolean }) => {
      const path = apiPath('/v1/late-usage/{}/{}/carry', customer, start);
      const answer = await (await connect(context)).post(path, { reason: options.reason });
      print(context, options, answer as { released: number }, ({ released }) => `${released} events go on.\n`);
    });
}

function renderPreview(preview: RebillPreview): string {
  const { currency } = preview;
  const parts = [
    fields({
      revision: preview.revision,
      plan: planChange(preview),
      'late events': preview.late_events,
      before: `${preview.before.total} ${currency}`,
      after: `${preview.after.total} ${currency}`,
      difference: `${preview.difference} ${currency}`,
      'subscription lines deleted': preview.subscription?.deleted_lines,
      'at Stripe': followsAt(preview),
    }),
  ];
  if (preview.next_period !== null) {
    const { start_date, changes } = preview.next_period;
    const rows = changes.map(({ kind, name, was, now }) => [start_date, kind, name, was, now]);
    parts.push(table(['next period', 'opened with', 'of', 'was', 'would be'], rows));
  }
  if (preview.lines.length > 0) {
    const rows = preview.lines.map(({ description, before, after }) => [description, before, after]);
    parts.push(table(['line', 'before', 'after'], rows));
  }
  if (preview.stripe.length > 0) {
    const rows = preview.stripe.map((one) => [one.stripe_invoice_id, one.stripe_status, one.paid, one.action]);
    parts.push(table(['stripe invoice', 'status', 'paid', 'what is done'], rows));
  }
  return parts.join('\n');
}

/** The plans before and after, where they are others. */
function planChange({ before, after }: RebillPreview): string | undefined {
  const [was, is] = [planNames(before.plans), planNames(after.plans)];
  return was === is ? undefined : `${was} -> ${is}`;
}

/** What follows; the amounts of costplus are before tax. */
function followsAt({ follows, tax, currency }: RebillPreview): string {
  const what = `${follows.kind.replaceAll('_', ' ')} ${follows.amount} ${currency}`;
  if (tax === 'none' || follows.kind === 'nothing') return what;
  return `${what} before tax: Stripe ${follows.kind === 'credit_note' ? 'takes its tax back with it' : 'adds its tax'}`;
}

function renderRevisions(revisions: IssuedRevision[]): string {
  if (revisions.length === 0) return 'No invoice is issued yet.\n';
  return table(
    ['revision', 'total', 'currency', 'reason', 'stripe invoice', 'payment', 'credit notes'],
    revisions.map((one) => [
      one.revision,
      one.total,
      one.currency,
      one.reason,
      one.stripe_invoice_id,
      one.payment_status,
      one.correction?.credit_notes.map(({ amount }) => amount).join(' '),
    ]),
  );
}

function renderLate(waiting: WaitingLateView[]): string {
  if (waiting.length === 0) return 'No late usage waits.\n';
  return table(
    ['customer', 'period', 'plan says', 'events', 'let go', 'first received', 'last received', 'becomes'],
    waiting.map((one) => [
      one.customer_id,
      one.start_date,
      one.policy,
      one.events,
      one.released,
      one.first_received_at,
      one.last_received_at,
      one.becomes.replaceAll('_', ' '),
    ]),
  );
}
