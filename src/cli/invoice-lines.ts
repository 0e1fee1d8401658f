import type { Command } from 'commander';
import type { LineUsage } from '../invoicing/line-usage.js';
import { PAGE_DEFAULT_COUNT } from '../limits.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, parseCount, print } from './context.js';
import { table } from './output.js';

/** `costplus invoice usage`, on the `invoice` command. */
export function registerLineUsage(invoice: Command, context: CommandContext): void {
  describe(
    invoice
      .command('usage')
      .description('the usage events behind a line of an issued revision')
      .argument('<customer>')
      .argument('<start_date>', 'such as 2026-11-01')
      .argument('<revision>')
      .argument('<line>', 'its number, from 1, in the order of the invoice'),
    ['invoice usage acme 2026-11-01 1 1', 'invoice usage acme 2026-11-01 1 1 --limit 10000 --json'],
  )
    .option('--limit <count>', 'at most this many', parseCount, PAGE_DEFAULT_COUNT)
    .action(
      async (
        customer: string,
        start: string,
        revision: string,
        line: string,
        options: { limit: number; json?: boolean },
      ) => {
        const path = apiPath('/v1/periods/{}/{}/invoices/{}/lines/{}/usage', customer, start, revision, line);
        const usage = (await (await connect(context)).list(path, {}, options.limit)) as LineUsage[];
        print(context, options, usage, (events) => renderUsage(events, options.limit));
      },
    );
}

function renderUsage(events: LineUsage[], limit: number): string {
  if (events.length === 0) return 'No usage events stand behind this line.\n';
  const rows = events.map(({ occurred_at, event_id, model_id, usage, cost, charge }) => [
    occurred_at,
    event_id,
    model_id,
    Object.entries(usage)
      .map(([meter, quantity]) => `${meter}=${quantity}`)
      .join(' '),
    cost,
    charge,
  ]);
  const shown = table(['at', 'event', 'model', 'usage', 'cost', 'charge'], rows);
  return events.length < limit ? shown : `${shown}There may be more: --limit says how many are shown.\n`;
}
