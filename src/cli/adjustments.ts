import type { Command } from 'commander';
import type { AdjustmentView } from '../contracts/adjustment.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { table } from './output.js';

interface AddFlags {
  amount: string;
  description: string;
  reason: string;
  goodwill?: boolean;
  requestId?: string;
  json?: boolean;
}

/** `costplus adjustments add`, `list` and `withdraw`. */
export function registerAdjustments(program: Command, context: CommandContext): void {
  const adjustments = program
    .command('adjustments')
    .description('one-off amounts on the invoice of a period that is not sealed');
  const named = (name: string, description: string) =>
    adjustments
      .command(name)
      .description(description)
      .argument('<customer>')
      .argument('<start_date>', 'of the period, such as 2026-11-01');

  describe(named('add', 'put an amount on the invoice; negative: a credit'), [
    'adjustments add acme 2026-11-01 --amount 250.00 --description "Set-up of the connector" --reason "order 4711"',
    'adjustments add acme 2026-11-01 --amount -20.00 --goodwill --description "Outage on 3 November" --reason "INC-42"',
  ])
    .requiredOption('--amount <amount>', "in the customer's currency, such as -20.00")
    .requiredOption('--description <text>', 'what the customer reads on the line')
    .requiredOption('--reason <text>', 'why; kept in the audit log, not shown to the customer')
    .option('--goodwill', 'a credit out of goodwill; the amount must be negative')
    .option('--request-id <id>', 'the same id does nothing twice')
    .action(async (customer: string, start: string, options: AddFlags) => {
      const { amount, description, reason, goodwill, requestId: request_id } = options;
      const kind = goodwill ? 'goodwill' : 'adjustment';
      const path = apiPath('/v1/periods/{}/{}/adjustments', customer, start);
      const made = await (await connect(context)).post(path, { kind, amount, description, reason, request_id });
      print(context, options, made as AdjustmentView, (one) => render([one]));
    });

  describe(named('list', 'the adjustments of a period, those taken back too'), [
    'adjustments list acme 2026-11-01',
  ]).action(async (customer: string, start: string, options: { json?: boolean }) => {
    const path = apiPath('/v1/periods/{}/{}/adjustments', customer, start);
    const { data } = (await (await connect(context)).get(path)) as { data: AdjustmentView[] };
    print(context, options, data, render);
  });

  describe(named('withdraw', 'take one back before the period is sealed').argument('<adjustment>', 'its id'), [
    'adjustments withdraw acme 2026-11-01 7 --reason "the wrong customer"',
  ])
    .requiredOption('--reason <text>', 'why; kept in the timeline and the audit log')
    .action(async (customer: string, start: string, id: string, options: { reason: string; json?: boolean }) => {
      const path = apiPath('/v1/periods/{}/{}/adjustments/{}/withdraw', customer, start, id);
      const answer = await (await connect(context)).post(path, { reason: options.reason });
      print(context, options, answer as AdjustmentView, (one) => render([one]));
    });
}

function render(adjustments: AdjustmentView[]): string {
  if (adjustments.length === 0) return 'No adjustments.\n';
  return table(
    ['id', 'kind', 'amount', 'currency', 'description', 'reason', 'by', 'taken back'],
    adjustments.map((one) => [
      one.adjustment_id,
      one.kind,
      one.amount,
      one.currency,
      one.description,
      one.reason,
      one.created_by,
      one.withdrawn?.reason,
    ]),
  );
}
