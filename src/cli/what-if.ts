import type { Command } from 'commander';
import type { DryRunPage, DryRunPeriod, EventLeftOut } from '../contracts/dry-run.js';
import { add, format, parseDecimal, subtract, ZERO } from '../money/fraction.js';
import { type CommandContext, connect, describe, print, readJsonFile } from './context.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';
import { ratesOver } from './invoices.js';
import { fields, table } from './output.js';
import { planNames, readNamedPlan } from './plan-names.js';

/** The options that say what is supposed to be different. */
export interface ChangeOptions {
  plan?: string;
  planFile?: string;
  catalog?: string;
  events?: string;
}

interface WhatIfOptions extends ChangeOptions {
  from: string;
  to?: string;
  customer?: string;
  all?: boolean;
  onPlan?: string;
  openings: string;
  json?: boolean;
}

/** `costplus what-if`. */
export function registerWhatIf(program: Command, context: CommandContext): void {
  const command = program
    .command('what-if')
    .description('what the invoices of a time would be under other terms, and the difference for each')
    .requiredOption('--from <date>', 'periods that start on this date or later')
    .option('--to <date>', 'and before this one; a month where it is left out')
    .option('--customer <id>', 'of this customer')
    .option('--all', 'of all customers')
    .option('--on-plan <plan>', 'only where the customer has this plan')
    .option(
      '--openings <which>',
      'what periods open with: chain (what the one before would have left) or real (what they really did)',
      'chain',
    );
  describe(withChange(command), [
    'what-if --plan pro@4 --from 2026-06-01 --all',
    'what-if --plan pro@4 --from 2026-06-01 --all --on-plan pro',
    'what-if --catalog 7 --from 2026-01-01 --to 2026-07-01 --customer acme',
    'what-if --plan pro@4 --from 2026-06-01 --to 2026-09-01 --customer acme --openings real',
  ]).action(async (options: WhatIfOptions) => {
    if ((options.customer === undefined) === (options.all !== true)) {
      throw new CommandFailure(EXIT_USAGE, 'Name a customer with --customer, or say --all.');
    }
    if (options.openings !== 'chain' && options.openings !== 'real') {
      throw new CommandFailure(EXIT_USAGE, '--openings is chain or real.');
    }
    const request = {
      from: options.from,
      to: options.to,
      customer_id: options.customer,
      on_plan: options.onPlan,
      openings: options.openings,
      change: await readChange(options),
    };
    const api = await connect(context);
    const pages: DryRunPage[] = [];
    do {
      const cursor = pages.at(-1)?.next_cursor ?? undefined;
      pages.push((await api.post('/v1/previews', { ...request, cursor })) as DryRunPage);
    } while (pages.at(-1)!.next_cursor !== null);
    const whole = { data: pages.flatMap(({ data }) => data), totals: sumTotals(pages) };
    print(context, options, whole, renderWhatIf);
  });
}

/** Adds the options of a change to a command. */
export function withChange(command: Command): Command {
  return command
    .option('--plan <plan[@version]>', 'under this plan, the newest version where none is named')
    .option('--plan-file <file>', 'under a plan that is not published, from JSON (- reads standard input)')
    .option('--catalog <version>', 'at the prices of this catalog version')
    .option('--events <file>', 'with these usage events more: {"events": [...]} (- reads standard input)');
}

/** Whether the options ask for anything to be different. */
export function hasChange({ plan, planFile, catalog, events }: ChangeOptions): boolean {
  return [plan, planFile, catalog, events].some((option) => option !== undefined);
}

/** The change of a request. Throws a usage failure. */
export async function readChange(options: ChangeOptions): Promise<Record<string, unknown>> {
  if (!hasChange(options)) {
    throw new CommandFailure(EXIT_USAGE, 'Say what is different: --plan, --plan-file, --catalog or --events.');
  }
  const { plan, planFile, catalog, events } = options;
  const named = plan === undefined ? null : readNamedPlan(plan);
  if (catalog !== undefined && !/^[1-9]\d{0,8}$/.test(catalog)) {
    throw new CommandFailure(EXIT_USAGE, '--catalog is the number of a catalog version.');
  }
  return {
    ...(named === null ? {} : { plan: named }),
    ...(planFile === undefined ? {} : { inline_plan: await readJsonFile(planFile) }),
    ...(catalog === undefined ? {} : { catalog_version: Number(catalog) }),
    ...(events === undefined ? {} : { events: await readEvents(events) }),
  };
}

async function readEvents(path: string): Promise<unknown> {
  const read = (await readJsonFile(path)) as { events?: unknown } | unknown[] | null;
  return Array.isArray(read) ? read : (read?.events ?? []);
}

/** One period under other terms, for reading. */
export function renderComparison(page: DryRunPage): string {
  const period = page.data[0]!;
  const { before, after, currency } = period;
  const head = fields({
    customer: period.customer_id,
    period: `${period.period.start} to ${period.period.end}`,
    status: period.status,
    plan: `${planNames(before?.plans ?? [])} -> ${planNames(after?.plans ?? [])}`,
    'catalog version': `${before?.catalog_version} -> ${after?.catalog_version}`,
    'held events': `${before?.held_events} -> ${after?.held_events}`,
    'events added': eventsText(period),
  });
  const rows = period.lines.map((line) => [line.description, line.before, line.after, line.difference]);
  const lines = rows.length === 0 ? 'No line differs.\n' : table(['line', 'is', 'would be', 'difference'], rows);
  const total = fields({
    total: `${before?.total} ${currency}`,
    'would be': `${after?.total} ${currency}`,
    difference: `${signed(period.difference)} ${currency}`,
    ...(period.invoice === null ? {} : ratesOver(period.invoice)),
  });
  return [head, lines, total].join('\n');
}

const LEFT_OUT_WORDS: Record<EventLeftOut, string> = {
  other_customer: 'of another customer',
  other_period: 'outside of this period',
  repeated: 'more than once in the request',
  in_ledger: 'in the ledger already',
};

/** How many of the request's events are in it, and why the others are not. */
function eventsText({ events_added, events_left_out }: DryRunPeriod): string {
  const others = events_left_out.map(({ reason, events }) => `${events} ${LEFT_OUT_WORDS[reason]}`);
  return others.length === 0 ? String(events_added) : `${events_added} (left out: ${others.join(', ')})`;
}

function renderWhatIf({ data, totals }: Pick<DryRunPage, 'data' | 'totals'>): string {
  if (data.length === 0) return 'No billing period starts in that time.\n';
  const rows = data.map((period) => [
    period.customer_id,
    period.start_date,
    period.before?.total,
    period.after?.total,
    signed(period.difference),
    period.currency,
    period.opens_after,
    remarkOf(period),
  ]);
  const sums = totals.map((sum) => [
    sum.currency,
    sum.periods,
    sum.failed,
    sum.before,
    sum.after,
    signed(sum.difference),
  ]);
  return [
    table(['customer', 'start', 'is', 'would be', 'difference', 'currency', 'opens after', 'remark'], rows),
    table(['total', 'periods', 'failed', 'is', 'would be', 'difference'], sums),
  ].join('\n');
}

function remarkOf({ error, before, after }: DryRunPeriod): string {
  if (error) return error.detail;
  const held = (after?.held_events ?? 0) - (before?.held_events ?? 0);
  return held > 0 ? `${held} more events without a price` : '';
}

const signed = (amount: string | null) => (amount === null || amount.startsWith('-') ? amount : `+${amount}`);

/** The totals of all pages, by currency. */
function sumTotals(pages: readonly DryRunPage[]): DryRunPage['totals'] {
  const all = pages.flatMap(({ totals }) => totals);
  return [...new Set(all.map(({ currency }) => currency))].sort().map((currency) => {
    const own = all.filter((total) => total.currency === currency);
    const sumOf = (side: 'before' | 'after') => own.reduce((sum, total) => add(sum, parseDecimal(total[side])), ZERO);
    const places = own[0]!.before.split('.')[1]?.length ?? 0;
    const show = (amount: typeof ZERO) => padTo(format(amount), places);
    return {
      currency,
      periods: own.reduce((sum, { periods }) => sum + periods, 0),
      failed: own.reduce((sum, { failed }) => sum + failed, 0),
      before: show(sumOf('before')),
      after: show(sumOf('after')),
      difference: show(subtract(sumOf('after'), sumOf('before'))),
    };
  });
}

/** An amount with all places of its currency, as the API writes it. */
function padTo(amount: string, places: number): string {
  if (places === 0) return amount;
  const [whole, part = ''] = amount.split('.');
  return `${whole}.${part.padEnd(places, '0')}`;
}
