import { setTimeout as sleep } from 'node:timers/promises';
import type { InvoiceView } from '../../contracts/invoice.js';
import { FINISHED_STATUSES, type PeriodView } from '../../contracts/period.js';
import type { PlanVersion } from '../../contracts/plan.js';
import { CostplusError } from '../../errors/error.js';
import { compare, format, fromInteger, multiply, parseDecimal, sum } from '../../money/fraction.js';
import type { StackInfo } from '../stack.js';
import { STAND_IN_SECRET_KEY } from '../stripe-stand-in.js';
import { DEMO_CUSTOMERS, DEMO_PLANS } from './customers.js';
import { DemoApi } from './demo-api.js';
import { type Screen, showInvoice } from './screen.js';
import { demoEvents } from './traffic.js';

/** Rounds of the 154 recorded responses: enough to watch the totals grow, few enough to be done in seconds. */
const ROUNDS = 60;
const BATCH_EVENTS = 100;
/** How long pricing and closing may take before the demo gives up. */
const PATIENCE_SECONDS = 120;

/** The whole way of usage into invoices, over the public API. Throws when anything does not add up. */
export async function runDemo(info: StackInfo, screen: Screen): Promise<void> {
  const api = new DemoApi(info);
  screen.title('Plans and customers');
  for (const plan of DEMO_PLANS) {
    const { version } = await api.post<PlanVersion>('/v1/plans', plan);
    screen.line(`plan ${plan.plan_id} version ${version}: ${plan.name}`);
  }
  for (const { customer_id, body, label } of DEMO_CUSTOMERS) {
    await api.put(`/v1/customers/${customer_id}`, body);
    screen.line(`customer ${customer_id}: ${label}`);
  }

  screen.title('Usage: recorded provider responses, in signed batches');
  const sentAt = new Date().toISOString();
  const events = await demoEvents(ROUNDS, sentAt);
  const counts = new Map<string, number>();
  let sent = 0;
  const sending = (async () => {
    for (let from = 0; from < events.length; from += BATCH_EVENTS) {
      for (const { status } of await api.sendUsage(events.slice(from, from + BATCH_EVENTS))) {
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
      sent = Math.min(from + BATCH_EVENTS, events.length);
      // A pace at which one can watch.
      await sleep(60);
    }
  })();
  const periods = await findPeriods(api, sentAt);
  await watch(api, screen, periods, () => sent, events.length);
  await sending;
  const results = [...counts].map(([status, count]) => `${count} ${status}`).join(', ');
  screen.line(`${events.length} events sent: ${results}`);
  const again = await api.sendUsage(events.slice(0, BATCH_EVENTS));
  screen.line(
    `the first batch sent once more: ${again.filter(({ status }) => status === 'duplicate').length} duplicates, nothing counted twice`,
  );

  screen.title('Closing the periods');
  await Promise.all(periods.map(({ path }) => api.post(`${path}/close`, { reason: 'end of the demo' })));
  for (const { customer_id, path } of periods) {
    const view = await finished(api, path);
    const invoice = await api.get<InvoiceView>(`${path}/invoices/1`);
    showInvoice(screen, customer_id, invoice);
    await prove(info, screen, invoice);
    for (const held of view.held)
      screen.line(`held, not billed: ${held.events} events of ${held.model_id} (${held.reason})`);
  }

  screen.title('Where to look further');
  screen.line(`API and its documentation   ${info.api_url}/docs`);
  if (info.temporal_ui_url) screen.line(`workflows in Temporal's UI  ${info.temporal_ui_url}`);
  screen.line(`the trail of one event      ${info.api_url}/v1/usage/acme/demo-0`);
}

interface DemoPeriod {
  customer_id: string;
  path: string;
}

/** The period under way of each customer, by the API's own word: its calendar decides what "this month" is. */
async function findPeriods(api: DemoApi, at: string): Promise<DemoPeriod[]> {
  return Promise.all(
    DEMO_CUSTOMERS.map(async ({ customer_id }) => {
      const { data } = await api.get<{ data: PeriodView[] }>(`/v1/periods?customer_id=${customer_id}`);
      const period = data.find(({ period: { start, end } }) => start <= at && at < end);
      if (!period) throw new CostplusError('internal', `Customer ${customer_id} has no period under way.`);
      return { customer_id, path: `/v1/periods/${customer_id}/${period.start_date}` };
    }),
  );
}

/** Shows totals as they grow, until all that was sent is priced. */
async function watch(
  api: DemoApi,
  screen: Screen,
  periods: DemoPeriod[],
  sent: () => number,
  expected: number,
): Promise<void> {
  const alerts = new Set<string>();
  for (const deadline = Date.now() + PATIENCE_SECONDS * 1_000; Date.now() < deadline; await sleep(500)) {
    const views = await Promise.all(periods.map(({ path }) => api.get<PeriodView>(path)));
    const priced = views.reduce((events, view) => events + (view.totals?.events ?? 0), 0);
    screen.progress({ sent: sent(), priced, expected, views });
    for (const view of views) {
      for (const budget of view.budgets) {
        for (const { threshold, raised_at } of budget.thresholds) {
          const name = `${view.customer_id} ${budget.budget_id} ${threshold}`;
          if (raised_at === null || alerts.has(name)) continue;
          alerts.add(name);
          const percent = format(multiply(parseDecimal(threshold), fromInteger(100)));
          screen.line(
            `budget alert: ${view.customer_id} has spent ${budget.spent} of ${budget.amount} ${budget.currency} (${percent}% of "${budget.budget_id}" reached)`,
          );
        }
      }
    }
    if (priced === expected) return;
  }
  throw new CostplusError('internal', `Pricing did not finish within ${PATIENCE_SECONDS} s; see the worker's log.`);
}

async function finished(api: DemoApi, path: string): Promise<PeriodView> {
  for (const deadline = Date.now() + PATIENCE_SECONDS * 1_000; Date.now() < deadline; await sleep(200)) {
    const view = await api.get<PeriodView>(path);
    if (view.status === 'parked') throw new CostplusError('internal', `${path} is parked: ${view.status_reason}`);
    if (FINISHED_STATUSES.includes(view.status)) return view;
  }
  throw new CostplusError('internal', `${path} did not close within ${PATIENCE_SECONDS} s; see the worker's log.`);
}

/** Sum of the lines = total = what the stand-in holds, read from there. */
async function prove(info: StackInfo, screen: Screen, invoice: InvoiceView): Promise<void> {
  const lines = sum(invoice.lines.map((line) => parseDecimal(line.amount)));
  const total = parseDecimal(invoice.total);
  const held = await readStripe(info, invoice.stripe_invoice_id);
  const atStripe = held === null ? null : { n: BigInt(held.total), d: 100n };
  const proven = compare(lines, total) === 0 && atStripe !== null && compare(atStripe, total) === 0;
  screen.proof(
    proven,
    `sum of ${invoice.lines.length} lines ${format(lines)} = total ${format(total)} = the Stripe stand-in's ${atStripe === null ? '?' : format(atStripe)} (${held?.status ?? 'missing'}, ${invoice.stripe_invoice_id})`,
  );
  if (!proven) throw new CostplusError('stripe_mismatch', `The invoice of ${invoice.customer_id} does not add up.`);
}

async function readStripe(info: StackInfo, id: string | null): Promise<{ total: number; status: string } | null> {
  if (id === null) return null;
  const response = await fetch(`${info.stripe_api_base}/v1/invoices/${id}`, {
    headers: { authorization: `Bearer ${STAND_IN_SECRET_KEY}` },
  });
  return response.ok ? ((await response.json()) as { total: number; status: string }) : null;
}
