import type { Command } from 'commander';
import type { HeldGroupView, HeldModelView } from '../ledger/held-usage.js';
import type { HeldAnswer } from '../ledger/resolve-held.js';
import { PAGE_DEFAULT_COUNT } from '../limits.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';
import { table } from './output.js';

/** Which held usage a command is about; what is left out is any. */
interface HeldSet {
  customer?: string;
  start?: string;
  reason?: string;
  provider?: string;
  model?: string;
}

interface ResolveFlags extends HeldSet {
  event: string[];
  price: Record<string, StatedPrice>;
  currency: string;
  writeOff?: boolean;
  note: string;
  requestId?: string;
  json?: boolean;
}

interface StatedPrice {
  price: string;
  per: number;
}

/** `costplus held list` and `costplus held resolve`. */
export function registerHeld(program: Command, context: CommandContext): void {
  const held = program.command('held').description('usage that cannot be billed yet');
  describe(setOptions(held.command('list').description('what waits and why, by customer and billing period')), [
    'held list',
    'held list --by-model --reason no_price',
  ])
    .option('--by-model', 'count it by model instead, over all customers')
    .option('--limit <count>', 'at most so many', String(PAGE_DEFAULT_COUNT))
    .action(async (options: HeldSet & { byModel?: boolean; limit: string; json?: boolean }) => {
      const limit = Number(options.limit);
      if (!Number.isSafeInteger(limit) || limit < 1) throw new CommandFailure(EXIT_USAGE, '--limit must be 1 or more.');
      const api = await connect(context);
      if (options.byModel) {
        const answer = await api.get('/v1/held-usage/models', { ...setOf(options), limit: String(limit) });
        return print(context, options, (answer as { data: HeldModelView[] }).data, renderModels);
      }
      const found = await api.list('/v1/held-usage', setOf(options), limit);
      print(context, options, found as HeldGroupView[], renderGroups);
    });

  describe(
    setOptions(held.command('resolve').description('bill what waits at stated prices, or write it off for good')),
    [
      'held resolve --customer acme --reason impossible_counts --write-off --note "a test of ours"',
      'held resolve --model claude-y --price input_tokens=3/1000000 --price images=0.04 --note "agreed with acme"',
    ],
  )
    .option(
      '--event <id>',
      'only this event of the customer; may be repeated',
      (id, before: string[]) => [...before, id],
      [],
    )
    .option('--price <meter=price/per>', 'bill at this price; may be repeated', statedPrices, {})
    .option('--currency <currency>', 'of the prices', 'usd')
    .option('--write-off', 'never charge it')
    .requiredOption('--note <text>', 'why; kept in the audit log')
    .option('--request-id <id>', 'the same id decides nothing twice')
    .action(async (options: ResolveFlags) => {
      const answer = await (await connect(context)).post('/v1/held-usage/resolve', {
        ...setOf(options),
        ...(options.event.length === 0 ? {} : { event_ids: options.event }),
        decision: decisionOf(options),
        note: options.note,
        ...(options.requestId === undefined ? {} : { request_id: options.requestId }),
      });
      print(context, options, answer as HeldAnswer, renderAnswer);
    });
}

function setOptions(command: Command): Command {
  return command
    .option('--customer <customer>', 'of this customer')
    .option('--start <start_date>', 'of its billing period that starts then')
    .option('--reason <reason>', 'such as no_price')
    .option('--provider <provider>', 'as the events name it')
    .option('--model <model>', 'as the events name it');
}

function setOf({ customer, start, reason, provider, model }: HeldSet): Record<string, string> {
  const conditions = { customer_id: customer, start_date: start, reason, provider, model_id: model };
  return Object.fromEntries(
    Object.entries(conditions).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function decisionOf({ price, currency, writeOff }: ResolveFlags) {
  const prices = Object.entries(price).map(([meter, stated]) => [meter, { ...stated, currency }]);
  if (prices.length > 0 === (writeOff === true)) {
    throw new CommandFailure(EXIT_USAGE, 'Say either --write-off or at which --price it is billed.');
  }
  return writeOff ? { write_off: true } : { bill: { prices: Object.fromEntries(prices) } };
}

/** Collects `meter=price` and `meter=price/per`. */
function statedPrices(text: string, before: Record<string, StatedPrice>): Record<string, StatedPrice> {
  const [, meter, price, per = '1'] = /^([a-z][a-z0-9_]*)=(\d+(?:\.\d+)?)(?:\/(\d+))?$/.exec(text) ?? [];
  if (meter === undefined || price === undefined) {
    throw new CommandFailure(EXIT_USAGE, '--price is written meter=price or meter=price/per: input_tokens=3/1000000.');
  }
  return { ...before, [meter]: { price, per: Number(per) } };
}

function renderGroups(groups: HeldGroupView[]): string {
  if (groups.length === 0) return 'Nothing waits.\n';
  return table(
    ['customer', 'period', 'status', 'reason', 'provider', 'model', 'meter', 'events'],
    groups.map((group) => [
      group.customer_id,
      group.start_date,
      group.period_status,
      group.reason,
      group.provider,
      group.model_id,
      group.meter,
      group.events,
    ]),
  );
}

function renderModels(models: HeldModelView[]): string {
  if (models.length === 0) return 'Nothing waits.\n';
  return table(
    ['reason', 'provider', 'model', 'meter', 'events', 'customers'],
    models.map(({ reason, provider, model_id, meter, events, customers }) => [
      reason,
      provider,
      model_id,
      meter,
      events,
      customers,
    ]),
  );
}

function renderAnswer({ applied, decisions }: HeldAnswer): string {
  if (decisions.length === 0) return 'Nothing of that kind waits.\n';
  const rows = decisions.map(({ decision_id, customer_id, start_date, sealed }) => [
    decision_id,
    customer_id,
    start_date,
    sealed ? 'sealed: becomes late usage' : 'open',
  ]);
  return `${applied ? '' : 'This request was answered before.\n'}${table(['decision', 'customer', 'period', 'state'], rows)}`;
}
