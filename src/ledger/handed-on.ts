import type { AllowanceUse, HeldElsewhere, RolledOver } from '../contracts/balances.js';
import type { Queryable } from '../database/pool.js';

/** What other sealed invoices have of a period's allowances; the uses of late usage apart by when it was decided. */
export interface HandedOn {
  /** Null where there is no such period. */
  passed_on: RolledOver[] | null;
  /** By invoices whose decisions came before the one asked for, and by those after it. */
  taken_before: AllowanceUse[];
  taken_after: AllowanceUse[];
}

/** An invoice that carries late usage of the period: what it has itself is not held by others. */
export interface Carrier {
  period_id: number;
  starts_at: Date;
  /** Its decisions about the period's late usage begin here. */
  decided_from: number;
}

/**
 * What sealed invoices hold of a period's allowances, of each the newest revision: the next period, what it opened with;
 * those that carry late usage of the period, what that took. `carrier`: as one of the latter sees it; what follows only
 * after a sealed carrier is then its own affair. Runs under the billing lock, when all that is sealed is composed.
 */
export async function readHandedOn(
  database: Queryable,
  period: { period_id: number; customer_id: string; ends_at: Date },
  carrier: Carrier | null = null,
): Promise<HandedOn> {
  const next = await readNextOpening(database, period, carrier);
  const { rows } = await database.query<{ first: number; taken: AllowanceUse[] }>(
    `SELECT d.first, r.taken
     FROM (SELECT billed_in, min(decision_id) AS first FROM late_billings
           WHERE period_id = $1 AND billed_in <> $1 AND ($2::bigint IS NULL OR billed_in <> $2) GROUP BY billed_in) d
     JOIN rollover_entries r ON r.period_id = $1 AND r.by_period = d.billed_in
       AND r.by_revision = (SELECT max(revision) FROM invoices i WHERE i.period_id = d.billed_in)
     ORDER BY d.first`,
    [period.period_id, carrier?.period_id ?? null],
  );
  const from = carrier?.decided_from ?? 0;
  const taken = (isBefore: boolean) =>
    rows.filter(({ first }) => first < from === isBefore).flatMap((row) => row.taken);
  return { passed_on: next, taken_before: taken(true), taken_after: taken(false) };
}

/** What of that the period's own invoice cannot take; null: there is nothing of the kind. */
export async function readHeldElsewhere(
  database: Queryable,
  period: { period_id: number; customer_id: string; ends_at: Date },
): Promise<HeldElsewhere | null> {
  const { passed_on, taken_after: taken } = await readHandedOn(database, period);
  return (passed_on ?? []).length === 0 && taken.length === 0 ? null : { passed_on: passed_on ?? [], taken };
}

/** What the first sealed period after this one opened with; of a carrier that is sealed, only one that lies before it. */
async function readNextOpening(
  database: Queryable,
  period: { customer_id: string; ends_at: Date },
  carrier: Carrier | null,
): Promise<RolledOver[] | null> {
  const { rows } = await database.query<{ opening: RolledOver[] | null }>(
    `SELECT (SELECT i.content::jsonb #> '{balances,opening,rollover}' FROM invoices i
             WHERE i.period_id = p.period_id ORDER BY i.revision DESC LIMIT 1) AS opening
     FROM periods p
     WHERE p.customer_id = $1 AND p.starts_at >= $2 AND p.sealed_at IS NOT NULL
       AND ($3::bigint IS NULL OR p.period_id <> $3)
       AND ($3::bigint IS NULL OR p.starts_at < $4
            OR EXISTS (SELECT FROM periods c WHERE c.period_id = $3 AND c.sealed_at IS NULL))
     ORDER BY p.starts_at LIMIT 1`,
    [period.customer_id, period.ends_at, carrier?.period_id ?? null, carrier?.starts_at ?? null],
  );
  return rows[0] === undefined ? null : (rows[0].opening ?? []);
}

/** What is left of a period's allowances by now; null while no invoice of it is composed. */
export async function readRollover(database: Queryable, periodId: number): Promise<RolledOver[] | null> {
  const { rows } = await database.query<{ rollover: RolledOver[] | null }>(
    `SELECT coalesce(
       (SELECT rollover FROM rollover_entries WHERE period_id = $1 ORDER BY entry_id DESC LIMIT 1),
       (SELECT closing->'rollover' FROM period_balances WHERE period_id = $1 ORDER BY revision DESC LIMIT 1)
     ) AS rollover`,
    [periodId],
  );
  return rows[0]!.rollover;
}

/** Notes what is left of a period once an invoice is composed, and what that took of it. */
export async function noteRollover(
  database: Queryable,
  by: { period_id: number; revision: number },
  of: { period_id: number; rollover: RolledOver[]; taken: readonly AllowanceUse[] },
): Promise<void> {
  await database.query(
    `INSERT INTO rollover_entries (period_id, by_period, by_revision, rollover, taken) VALUES ($1, $2, $3, $4, $5)`,
    [of.period_id, by.period_id, by.revision, JSON.stringify(of.rollover), JSON.stringify(of.taken)],
  );
}
