import type { Command } from 'commander';
import type { Customer } from '../contracts/customer.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print, readJsonFile } from './context.js';
import { fields } from './output.js';

/** `costplus customer put|show`. */
export function registerCustomers(program: Command, context: CommandContext): void {
  const customer = program.command('customer').description('how a customer is billed');
  describe(
    customer
      .command('put')
      .description('make a customer, or change what a JSON file (- is standard input) says of it; null clears')
      .argument('<customer>')
      .argument('<file>'),
    ['customer put acme acme.json', `customer put acme - <<< '{"currency": "usd", "plan_id": "pro", "ends_at": null}'`],
  ).action(async (id: string, file: string, options: { json?: boolean }) => {
    const body = await readJsonFile(file);
    const put = await (await connect(context)).put(apiPath('/v1/customers/{}', id), body);
    print(context, options, put as Customer, renderCustomer);
  });

  describe(customer.command('show').description('read a customer').argument('<customer>'), [
    'customer show acme',
  ]).action(async (id: string, options: { json?: boolean }) => {
    const found = await (await connect(context)).get(apiPath('/v1/customers/{}', id));
    print(context, options, found as Customer, renderCustomer);
  });
}

function calendarText({ interval, anchor_day, anchor_month, anchor_weekday }: Customer): string {
  if (interval === 'week') return `weeks from day ${anchor_weekday} of the week`;
  const from = anchor_month === undefined ? '' : ` of month ${anchor_month}`;
  return `${interval}s from day ${anchor_day}${from}`;
}

function renderCustomer(customer: Customer): string {
  return fields({
    customer: customer.customer_id,
    name: customer.name,
    plan: `${customer.plan_id} version ${customer.plan_version}`,
    'plan since': customer.plan_effective_from,
    currency: customer.currency,
    calendar: `${calendarText(customer)}, ${customer.time_zone}`,
    'stripe customer': customer.stripe_customer_id,
    'stripe subscription': customer.stripe_subscription_id,
    'billed from': customer.starts_at,
    'billed until': customer.ends_at,
    budgets: customer.budgets.map(({ budget_id, amount }) => `${budget_id} ${amount}`).join(', ') || null,
    'changed at': customer.updated_at,
  });
}
