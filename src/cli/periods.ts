import type { Command } from 'commander';
import type { DryRunPage } from '../contracts/dry-run.js';
import type { CommandAnswer } from '../contracts/engine.js';
import type { InvoiceView } from '../contracts/invoice.js';
import { PERIOD_STATUSES, type PeriodView, type Totals } from '../contracts/period.js';
import { effectiveRates } from '../invoicing/compose-lines.js';
import { ONE } from '../money/fraction.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, parseCount, print } from './context.js';
import { registerRebill } from './corrections.js';
import { parseShown, ratesOver, renderInvoice } from './invoices.js';
import { fields, table } from './output.js';
import { type ChangeOptions, hasChange, readChange, renderComparison, withChange } from './what-if.js';

type PeriodSummary = Pick<PeriodView, 'customer_id' | 'start_date' | 'period' | 'status' | 'payment_status'> & {
  totals: Totals | null;
  invoice: { revision: number; total: string; currency: string } | null;
};

const COMMANDS = [
  {
    name: 'close',
    summary: 'seal the period now and bill it',
    example: 'period close acme 2026-11-01 --reason "contract ended"',
  },
  {
    name: 'hold',
    summary: 'stop the period before it is submitted',
    example: 'period hold acme 2026-11-01 --reason "check the prices"',
  },
  { name: 'release', summary: 'let a held or parked period go on', example: 'period release acme 2026-11-01' },
] as const;

/** `costplus periods` and `costplus period ...`. */
export function registerPeriods(program: Command, context: CommandContext): void {
  describe(program.command('periods').description('list billing periods'), [
    'periods --status on_hold',
    'periods --customer acme --json',
  ])
    .option('--customer <id>', 'of this customer only')
    .option('--status <status>', `in this status only: ${PERIOD_STATUSES.join(', ')}`)
    .option('--limit <count>', 'at most this many', parseCount, 100)
    .action(async (options: { customer?: string; status?: string; limit: number; json?: boolean }) => {
      const api = await connect(context);
      const query = { customer_id: options.customer, status: options.status };
      const periods = (await api.list('/v1/periods', query, options.limit)) as PeriodSummary[];
      print(context, options, periods, renderPeriods);
    });

  const period = program
    .command('period')
    .description('one billing period: show, preview, close, approve, hold, release');
  describe(named(period, 'show').description('status, totals, budgets, held usage, timeline'), [
    'period show acme 2026-11-01',
  ]).action(async (customer: string, start: string, options: { json?: boolean }) => {
    const view = await (await connect(context)).get(apiPath('/v1/periods/{}/{}', customer, start));
    print(context, options, view as PeriodView, renderPeriod);
  });

  describe(withChange(named(period, 'preview').description('what the invoice would be now, or under other terms')), [
    'period preview acme 2026-11-01',
    'period preview acme 2026-11-01 --plan pro@4 --catalog 7',
  ]).action(async (customer: string, start: string, options: ChangeOptions & { json?: boolean }) => {
    if (hasChange(options)) {
      const request = { customer_id: customer, start_date: start, change: await readChange(options) };
      const page = await (await connect(context)).post('/v1/previews', request);
      print(context, options, page as DryRunPage, renderComparison);
      return;
    }
    const view = await (await connect(context)).get(apiPath('/v1/periods/{}/{}/preview', customer, start));
    print(context, options, view as InvoiceView, renderInvoice);
  });

  registerRebill(period, context);
  registerApprove(period, context);
  for (const { name, summary, example } of COMMANDS) {
    describe(named(period, name).description(summary), [example])
      .option('--reason <text>', 'why; kept in the timeline and the audit log')
      .option('--request-id <id>', 'the same id does nothing twice')
      .action(
        async (customer: string, start: string, options: { reason?: string; requestId?: string; json?: boolean }) => {
          const body = { reason: options.reason, request_id: options.requestId };
          const answer = await (await connect(context)).post(
            apiPath(`/v1/periods/{}/{}/${name}`, customer, start),
            body,
          );
          print(context, options, answer as CommandAnswer, renderAnswer);
        },
      );
  }
}

interface ApproveFlags {
  revision?: number;
  total?: string;
  contentHash?: string;
  reason?: string;
  requestId?: string;
  json?: boolean;
}

/** `costplus period approve`. */
function registerApprove(period: Command, context: CommandContext): void {
  describe(named(period, 'approve').description('let an invoice go that awaits approval'), [
    'period approve acme 2026-11-01 --revision 1 --total 130.00 --reason "agreed with acme"',
    'period approve acme 2026-11-01',
  ])
    .option('--revision <number>', 'the revision that you looked at: another one is not approved', parseCount)
    .option('--total <amount>', 'the total that you saw: another one is not approved')
    .option('--content-hash <hash>', 'the content hash that you saw')
    .option('--reason <text>', 'why; kept in the timeline and the audit log')
    .option('--request-id <id>', 'the same id does nothing twice')
    .action(async (customer: string, start: string, options: ApproveFlags) => {
      const { revision, total, contentHash: content_hash, reason, requestId: request_id } = options;
      const path = apiPath('/v1/periods/{}/{}/approve', customer, start);
      const body = { revision, total, content_hash, reason, request_id };
      const answer = await (await connect(context)).post(path, body);
      print(context, options, answer as CommandAnswer, renderAnswer);
    });
}

function renderAnswer({ status, applied, waits_for }: CommandAnswer): string {
  const now = applied
    ? `The period is now ${status}.\n`
    : `This request was answered before; the period is ${status}.\n`;
  return waits_for === undefined ? now : `${now}It is sealed when the period ${waits_for} is composed.\n`;
}

function named(parent: Command, name: string): Command {
  return parent.command(name).argument('<customer>').argument('<start_date>', 'such as 2026-11-01');
}

function renderPeriods(periods: PeriodSummary[]): string {
  if (periods.length === 0) return 'No billing periods.\n';
  return table(
    ['customer', 'start', 'end', 'status', 'payment', 'events', 'held', 'charge', 'invoice', 'currency'],
    periods.map(({ customer_id, start_date, period, status, payment_status, totals, invoice }) => [
      customer_id,
      start_date,
      period.end,
      status,
      payment_status,
      totals?.events,
      totals?.held_events,
      totals?.charge,
      invoice?.total,
      totals === null ? null : `${totals.currency}${totals.without_rate.length > 0 ? ' (no rate)' : ''}`,
    ]),
  );
}

/** What the charge so far is over the cost, both ways of saying it. */
function totalRates({ cost, charge, without_rate }: Totals): Record<string, string> {
  if (without_rate.length > 0) return {};
  const rates = effectiveRates(parseShown(cost), parseShown(charge), ONE);
  return ratesOver(rates, 'charge');
}

function lateText({ late_events, late_charge, currency }: Totals): string | null {
  return late_events === 0 ? null : `${late_events} events, ${late_charge} ${currency} on top of the charge`;
}

/** What is in neither cost nor charge, and what has to be published. */
function withoutRateText({ without_rate, currency }: Totals): string | null {
  if (without_rate.length === 0) return null;
  const amounts = without_rate.map((one) => `cost ${one.cost} ${one.currency}, charge ${one.charge} ${one.currency}`);
  const missing = without_rate.map((one) => `${one.currency} to ${currency}`).join(', ');
  return `${amounts.join('; ')} not in the totals: publish a rate from ${missing}`;
}

function meterLine(events: NonNullable<PeriodView['meter_events']>): string {
  const { event_name, ledger, sent, counted, after_close } = events;
  const amiss = (['pending', 'unsendable', 'uncertain', 'rejected'] as const).filter((name) => events[name] !== '0');
  return [
    `${event_name}: ledger ${ledger}, sent ${sent}, counted by Stripe ${counted ?? 'not known yet'}`,
    ...amiss.map((name) => `${name} ${events[name]}`),
    ...(after_close === null || after_close === '0' ? [] : [`since the close ${after_close}`]),
  ].join(', ');
}

function renderPeriod(view: PeriodView): string {
  const parts = [
    fields({
      customer: view.customer_id,
      period: `${view.period.start} to ${view.period.end}`,
      'seals at': view.seals_at,
      status: view.status_reason === null ? view.status : `${view.status} (${view.status_reason})`,
      payment: view.payment_status,
      plan: view.plan === null ? null : `${view.plan.plan_id} version ${view.plan.version}`,
      events: view.totals?.events,
      'held events': view.totals?.held_events,
      'late events': view.late_events,
      'late usage waits': view.late_usage?.events,
      'voided since': view.voided_since === 0 ? null : `${view.voided_since} events; bill the period again`,
      'opening changed': view.opening_changed ? 'it would open with something else now; bill it again' : null,
      'meter events': view.meter_events === null ? null : meterLine(view.meter_events),
      cost: view.totals?.cost,
      charge: view.totals === null ? null : `${view.totals.charge} ${view.totals.currency}`,
      ...(view.totals === null ? {} : totalRates(view.totals)),
      'late usage carried': view.totals === null ? null : lateText(view.totals),
      'no exchange rate': view.totals === null ? null : withoutRateText(view.totals),
    }),
  ];
  if (view.budgets.length > 0) {
    const rows = view.budgets.map(({ budget_id, measure, spent, amount, currency, thresholds }) => [
      budget_id,
      measure,
      spent,
      amount,
      currency,
      thresholds
        .filter(({ reached }) => reached)
        .map(({ threshold }) => threshold)
        .join(' '),
    ]);
    parts.push(table(['budget', 'measure', 'spent', 'amount', 'currency', 'reached'], rows));
  }
  if (view.held.length > 0) {
    const rows = view.held.map(({ reason, provider, model_id, events }) => [reason, provider, model_id, events]);
    parts.push(table(['held because', 'provider', 'model', 'events'], rows));
  }
  if (view.opening_changes.length > 0) {
    const rows = view.opening_changes.map(({ kind, name, was, now }) => [kind, name, was, now]);
    parts.push(table(['opened with', 'of', 'was', 'would be'], rows));
  }
  if (view.invoices.length > 0) {
    const rows = view.invoices.map((invoice) => [
      invoice.revision,
      invoice.total,
      invoice.currency,
      invoice.stripe_invoice_id,
      invoice.payment_status,
    ]);
    parts.push(table(['revision', 'total', 'currency', 'stripe invoice', 'payment'], rows));
  }
  if (view.stripe_alerts.length > 0) {
    const rows = view.stripe_alerts.map(({ kind, detail, raised_at }) => [kind, detail, raised_at]);
    parts.push(table(['at stripe', 'what', 'since'], rows));
  }
  const entries = view.timeline.map(({ at, kind, detail }) => [
    at,
    kind,
    Object.entries(detail)
      .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' '),
  ]);
  if (entries.length > 0) parts.push(table(['time', 'what', 'detail'], entries));
  return parts.join('\n');
}
