import type { Command } from 'commander';
import type { ActionView } from '../invoicing/action-view.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { fields, table } from './output.js';

/** `costplus action show`. */
export function registerActions(program: Command, context: CommandContext): void {
  const action = program.command('action').description('what one thing that a person did fanned out into');
  describe(
    action
      .command('show')
      .description('the calls of an action, what they cost by kind, charge and margin')
      .argument('<customer>')
      .argument('<action>'),
    ['action show acme run_42'],
  ).action(async (customer: string, id: string, options: { json?: boolean }) => {
    const found = await (await connect(context)).get(apiPath('/v1/actions/{}/{}', customer, id));
    print(context, options, found as ActionView, renderAction);
  });
}

function renderAction(action: ActionView): string {
  const head = fields({
    action: action.action_id,
    customer: action.customer_id,
    first: action.first_at,
    last: action.last_at,
    events: action.events,
    held: action.held_events,
    late: action.late_events,
  });
  const totals = action.totals.map(({ currency, cost, charge, margin }) => [currency, cost, charge, margin]);
  const costs = action.costs.map((kind) => [
    kind.provider,
    kind.model_id,
    kind.meter,
    kind.quantity,
    kind.cost,
    kind.currency,
    kind.paid_by,
  ]);
  const calls = action.calls.data.map((call) => [
    call.occurred_at,
    call.event_id,
    call.model_id,
    call.status,
    call.cost,
    call.charge,
  ]);
  const more = action.calls.next_cursor === null ? '' : 'There are more calls: --json names the cursor of the next.\n';
  return [
    head,
    table(['currency', 'cost', 'charge', 'margin'], totals),
    table(['provider', 'model', 'meter', 'quantity', 'cost', 'currency', 'paid by'], costs),
    table(['at', 'event', 'model', 'status', 'cost', 'charge'], calls) + more,
  ].join('\n');
}
