import { canonicalJson } from '../contracts/canonical-json.js';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Customer, CustomerBody } from '../contracts/customer.js';
import { ID_PATTERN } from '../contracts/ids.js';
import type { Page, PageRequest } from '../contracts/page.js';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { changeBounds } from './customer-bounds.js';
import { calendarKeys, changeCalendar, insertCalendar } from './customer-calendar.js';
import { ensurePeriodAt } from './customer-periods.js';
import { type CustomerRecord, readCustomerRecords, readCustomerRecordsAfter } from './customer-rows.js';
import { setDeadlines } from './customer-spans.js';
import { openPastPeriods } from './past-periods.js';
import { assignFirstPlan, changePlan, changesPlan, heldSince } from './plan-assignments.js';
import { type WantedCustomer, wantedCustomer } from './wanted-customer.js';

/**
 * Makes a customer, or changes what the body says of one (`wantedCustomer`), in one transaction with the audit log, and
 * opens the current period; where the body names a `starts_at` that has passed, also those since then. What is already
 * under way keeps its meaning: a changed calendar takes effect at the end of the newest period, a changed plan when
 * `plan_effective` says, a changed end of billing cuts or extends the unsealed period it stands in. A body that changes
 * nothing makes no revision. Usage that waited for the customer is placed afterwards by `placeWaitingUsage`.
 * Throws `invalid_customer` with the field at fault, `unknown_plan`, or `conflict` where existing periods forbid it.
 */
export async function putCustomer(
  pool: Pool,
  customerId: string,
  body: CustomerBody,
  actor: string,
  nowMs: number = Date.now(),
): Promise<{ customer: Customer; created: boolean }> {
  if (!ID_PATTERN.test(customerId)) throw invalid('customer_id', 'must be 1 to 128 of A-Z a-z 0-9 . _ : -');
  return inTransaction(pool, async (client) => {
    let known = await lockRecord(client, customerId);
    const created =
      !known &&
      (await insertCustomer(client, customerId, await wantedCustomer(client, null, body, nowMs), actor, nowMs));
    // Another transaction may have made it meanwhile.
    if (!created) known ??= await lockRecord(client, customerId);
    if (known) await changeCustomer(client, known, await wantedCustomer(client, known, body, nowMs), actor, nowMs);
    if (body.starts_at) await openPastPeriods(client, await readRecord(client, customerId), nowMs);
    await ensurePeriodAt(client, customerId, nowMs, nowMs);
    return { customer: await readCustomer(client, customerId), created };
  });
}

/** A customer. Throws `unknown_customer`. */
export async function readCustomer(database: Queryable, customerId: string): Promise<Customer> {
  return toCustomer(await readRecord(database, customerId));
}

/** Customers in code unit order of their ids. Throws `invalid_request` for a foreign cursor. */
export async function listCustomers(database: Queryable, page: PageRequest): Promise<Page<Customer>> {
  const after = page.cursor === null ? '' : readPlace(page.cursor, ID_PATTERN);
  const records = await readCustomerRecordsAfter(database, after, page.limit + 1);
  const data = records.slice(0, page.limit).map(toCustomer);
  const last = records.length > page.limit ? data.at(-1) : undefined;
  return { data, next_cursor: last ? writeCursor(last.customer_id) : null };
}

/** The customer, which nobody else changes until the transaction ends; undefined where there is none. */
async function lockRecord(client: Client, customerId: string): Promise<CustomerRecord | undefined> {
  await client.query('SELECT FROM customers WHERE customer_id = $1 FOR NO KEY UPDATE', [customerId]);
  return (await readCustomerRecords(client, [customerId])).get(customerId);
}

async function readRecord(database: Queryable, customerId: string): Promise<CustomerRecord> {
  const record = (await readCustomerRecords(database, [customerId])).get(customerId);
  if (!record) throw new CostplusError('unknown_customer', 'There is no such customer.');
  return record;
}

/** Writes a customer that does not exist yet; false when it does (also when another transaction was first). */
async function insertCustomer(
  client: Client,
  customerId: string,
  wanted: WantedCustomer,
  actor: string,
  nowMs: number,
): Promise<boolean> {
  const inserted = await client.query(
    `INSERT INTO customers (customer_id, name, currency, stripe_customer_id, budgets, starts_at, ends_at, created_at, updated_at,
       stripe_subscription_id)
     VALUES ($1, $2, $3, $4, $5, to_timestamp($6 / 1000.0), to_timestamp($7 / 1000.0), to_timestamp($8 / 1000.0), to_timestamp($8 / 1000.0), $9)
     ON CONFLICT DO NOTHING`,
    [
      customerId,
      wanted.name,
      wanted.currency,
      wanted.stripe_customer_id,
      JSON.stringify(wanted.budgets),
      wanted.starts_at_ms,
      wanted.ends_at_ms,
      nowMs,
      wanted.stripe_subscription_id,
    ],
  );
  if (inserted.rowCount === 0) return false;
  await insertCalendar(client, customerId, wanted.calendar);
  await assignFirstPlan(client, customerId, wanted, actor);
  await audit(client, actor, 'customer.create', customerId, {
    plan_id: wanted.plan_id,
    plan_version: wanted.plan_version,
    currency: wanted.currency,
    ...calendarKeys(wanted.calendar),
    ...(wanted.starts_at_ms === null ? {} : { starts_at: instant(wanted.starts_at_ms) }),
    ...(wanted.ends_at_ms === null ? {} : { ends_at: instant(wanted.ends_at_ms) }),
  });
  return true;
}

async function changeCustomer(
  client: Client,
  known: CustomerRecord,
  wanted: WantedCustomer,
  actor: string,
  nowMs: number,
): Promise<void> {
  const customerId = known.customer_id;
  const changed = changesOf(known, wanted);
  const planFrom = changesPlan(known, wanted) ? await changePlan(client, known, wanted, actor, nowMs) : undefined;
  if (planFrom !== undefined) changed.plan = planChange(known, wanted, planFrom);
  if (Object.keys(changed).length === 0) return;

  const { rows } = await client.query<{ present: boolean }>(
    'SELECT EXISTS (SELECT FROM periods WHERE customer_id = $1) AS present',
    [customerId],
  );
  const hasPeriods = rows[0]!.present;
  if (changed.currency && hasPeriods) {
    throw new CostplusError('conflict', 'The currency is fixed once the customer has a billing period.', {
      field: 'currency',
    });
  }
  await client.query(
    `UPDATE customers SET name = $2, currency = $3, stripe_customer_id = $4, budgets = $5,
       starts_at = to_timestamp($6 / 1000.0), ends_at = to_timestamp($7 / 1000.0), revision = revision + 1,
       updated_at = to_timestamp($8 / 1000.0), stripe_subscription_id = $9
     WHERE customer_id = $1`,
    [
      customerId,
      wanted.name,
      wanted.currency,
      wanted.stripe_customer_id,
      JSON.stringify(wanted.budgets),
      wanted.starts_at_ms,
      wanted.ends_at_ms,
      nowMs,
      wanted.stripe_subscription_id,
    ],
  );
  if (changed.starts_at || changed.ends_at) await changeBounds(client, known, wanted, nowMs);
  if (planFrom !== undefined) await setDeadlines(client, customerId, nowMs);
  if (changed.calendar) {
    // Where billing is under way, the period of now is one of the calendar that was in force until now.
    if (hasPeriods) await ensurePeriodAt(client, customerId, nowMs, nowMs);
    await changeCalendar(client, customerId, wanted.calendar);
  }
  await audit(client, actor, 'customer.change', customerId, { revision: known.revision + 1, ...changed });
}

type Change = { from: unknown; to: unknown };

/** What a body changes of a customer, for the audit log. */
function changesOf(known: CustomerRecord, wanted: WantedCustomer): Record<string, Change> {
  const calendar = known.calendars.at(-1)!;
  const pairs: Record<string, Change> = {
    name: { from: known.name, to: wanted.name },
    currency: { from: known.currency, to: wanted.currency },
    stripe_customer_id: { from: known.stripe_customer_id, to: wanted.stripe_customer_id },
    stripe_subscription_id: { from: known.stripe_subscription_id, to: wanted.stripe_subscription_id },
    budgets: { from: known.budgets, to: wanted.budgets },
    starts_at: { from: instant(known.starts_at), to: instant(wanted.starts_at_ms) },
    ends_at: { from: instant(known.ends_at), to: instant(wanted.ends_at_ms) },
    calendar: { from: calendarKeys(calendar), to: calendarKeys(wanted.calendar) },
  };
  return Object.fromEntries(
    Object.entries(pairs).filter(([, { from, to }]) => canonicalJson(from) !== canonicalJson(to)),
  );
}

/** What a change of plan was, for the audit log; `fromMs` null: it holds from the beginning. */
function planChange(
  known: CustomerRecord,
  wanted: WantedCustomer,
  fromMs: number | null,
): Change & { effective_from: string | null } {
  const { plan_id, plan_version } = known.assignments.at(-1)!;
  return {
    from: { plan_id, plan_version },
    to: { plan_id: wanted.plan_id, plan_version: wanted.plan_version },
    effective_from: instant(fromMs),
  };
}

async function audit(
  client: Client,
  actor: string,
  action: string,
  customerId: string,
  detail: Record<string, unknown>,
): Promise<void> {
  await client.query(
    'INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, $2, $3, $3, $4)',
    [actor, action, customerId, JSON.stringify(detail)],
  );
}

function toCustomer(record: CustomerRecord): Customer {
  const calendar = record.calendars.at(-1)!;
  const plan = record.assignments.at(-1)!;
  const since = heldSince(record.assignments);
  return {
    customer_id: record.customer_id,
    ...(record.name === null ? {} : { name: record.name }),
    currency: record.currency,
    ...calendarKeys(calendar),
    plan_id: plan.plan_id,
    plan_version: plan.plan_version,
    ...(Number.isFinite(since) ? { plan_effective_from: instant(since)! } : {}),
    ...(record.stripe_customer_id === null ? {} : { stripe_customer_id: record.stripe_customer_id }),
    ...(record.stripe_subscription_id === null ? {} : { stripe_subscription_id: record.stripe_subscription_id }),
    budgets: record.budgets,
    ...(record.starts_at === null ? {} : { starts_at: instant(record.starts_at)! }),
    ...(record.ends_at === null ? {} : { ends_at: instant(record.ends_at)! }),
    revision: record.revision,
    created_at: instant(record.created_at)!,
    updated_at: instant(record.updated_at)!,
  };
}

function instant(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function invalid(field: string, reason: string): CostplusError {
  return new CostplusError('invalid_customer', `${field}: ${reason}.`, { field });
}
