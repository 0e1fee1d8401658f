import type { Budget } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import type { CalendarRow, CalendarTerms } from '../periods/calendar.js';

/** A plan version that a customer has from an instant on (ms; -Infinity for the first one). */
export interface AssignmentRow {
  effective_from: number;
  plan_id: string;
  plan_version: number;
}

/** A customer with everything that decides its periods and how they are charged. */
export interface CustomerRecord {
  customer_id: string;
  name: string | null;
  currency: string;
  stripe_customer_id: string | null;
  stripe_subscription_id: string | null;
  budgets: Budget[];
  /** Bounds of billing, ms since the epoch. */
  starts_at: number | null;
  ends_at: number | null;
  /** Grows with every change; a copy in memory counts only while its revision is the row's. */
  revision: number;
  created_at: number;
  updated_at: number;
  /** By `effective_from`; the first one at -Infinity. */
  calendars: CalendarRow[];
  /** By `effective_from`; of two at one instant only the one that holds. */
  assignments: AssignmentRow[];
}

interface Row extends Omit<CustomerRecord, 'calendars' | 'assignments'> {
  calendars: (CalendarTerms & { from: number | null })[];
  assignments: { from: number | null; plan_id: string; plan_version: number }[];
}

const ms = (column: string) => `round(extract(epoch FROM ${column}) * 1000)::bigint`;
const msOrNull = (column: string) => `CASE WHEN isfinite(${column}) THEN ${ms(column)} END`;

const SELECT_CUSTOMERS = `
  SELECT c.customer_id, c.name, c.currency, c.stripe_customer_id, c.stripe_subscription_id, c.budgets, c.revision,
    ${ms('c.starts_at')} AS starts_at, ${ms('c.ends_at')} AS ends_at,
    ${ms('c.created_at')} AS created_at, ${ms('c.updated_at')} AS updated_at,
    (SELECT jsonb_agg(jsonb_build_object('from', ${msOrNull('k.effective_from')}, 'time_zone', k.time_zone,
              'interval', k.interval, 'anchor_day', k.anchor_day, 'anchor_month', k.anchor_month,
              'anchor_weekday', k.anchor_weekday) ORDER BY k.effective_from)
     FROM customer_calendars k WHERE k.customer_id = c.customer_id) AS calendars,
    (SELECT jsonb_agg(jsonb_build_object('from', ${msOrNull('a.effective_from')}, 'plan_id', a.plan_id,
              'plan_version', a.plan_version) ORDER BY a.effective_from)
     FROM (SELECT DISTINCT ON (effective_from) * FROM plan_assignments
           WHERE customer_id = c.customer_id ORDER BY effective_from, assignment_id DESC) a) AS assignments
  FROM customers c`;

/** Customers by id, in one query; ids without a customer are left out. */
export async function readCustomerRecords(
  database: Queryable,
  customerIds: readonly string[],
): Promise<Map<string, CustomerRecord>> {
  if (customerIds.length === 0) return new Map();
  const { rows } = await database.query<Row>(`${SELECT_CUSTOMERS} WHERE c.customer_id = ANY($1::text[])`, [
    customerIds,
  ]);
  return new Map(rows.map((row) => [row.customer_id, toRecord(row)]));
}

/** Up to `limit` customers after `afterId` in code unit order. */
export async function readCustomerRecordsAfter(
  database: Queryable,
  afterId: string,
  limit: number,
): Promise<CustomerRecord[]> {
  const { rows } = await database.query<Row>(
    `${SELECT_CUSTOMERS} WHERE c.customer_id > $1 ORDER BY c.customer_id LIMIT $2`,
    [afterId, limit],
  );
  return rows.map(toRecord);
}

function toRecord(row: Row): CustomerRecord {
  return {
    ...row,
    calendars: row.calendars.map(({ from, ...rest }) => ({
      effective_from: from ?? Number.NEGATIVE_INFINITY,
      ...rest,
    })),
    assignments: row.assignments.map(({ from, ...rest }) => ({
      effective_from: from ?? Number.NEGATIVE_INFINITY,
      ...rest,
    })),
  };
}
