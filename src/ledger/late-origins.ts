import type { OpeningBalances, RolledOver } from '../contracts/balances.js';
import type { Queryable } from '../database/pool.js';
import { allowancesOf } from '../plans/plan-parts.js';
import { readHandedOn } from './handed-on.js';
import type { LateOrigin } from './late-usage.js';
import { readSeal, type SealInputs } from './seal.js';

/** The period whose invoice carries the usage, and what it opens with. */
export interface CarryingPeriod {
  period_id: number;
  customer_id: string;
  starts_at: Date;
  opening: OpeningBalances | undefined;
  /** The id of the period before; null where there is none. */
  before: number | null;
}

/**
 * Adds to the origins of late usage what other invoices have of their allowances, and what the carrying period takes over
 * from them. Runs under the billing lock, when all that is sealed is composed.
 */
export async function pinOrigins(
  database: Queryable,
  carrying: CarryingPeriod,
  origins: readonly LateOrigin[],
): Promise<LateOrigin[]> {
  const pinned = [];
  for (const { held: known, opens: _opens, committed: _committed, ...origin } of origins) {
    const { inputs } = (await readSeal(database, origin.period_id, origin.revision))!;
    const has = inputs.plans.some((plan) => allowancesOf(plan).length > 0);
    pinned.push({
      ...origin,
      ...(has ? { held: await readHeld(database, carrying, origin, inputs, known) } : {}),
      ...(has && origin.period_id === carrying.before ? { opens: true as const } : {}),
      ...((await isCommitted(database, carrying, inputs)) ? { committed: true as const } : {}),
    });
  }
  return pinned;
}

async function readHeld(
  database: Queryable,
  { period_id, customer_id, starts_at }: CarryingPeriod,
  origin: Pick<LateOrigin, 'period_id' | 'revision' | 'decided_from'>,
  { period }: SealInputs,
  known: LateOrigin['held'],
): Promise<NonNullable<LateOrigin['held']>> {
  const of = { period_id: origin.period_id, customer_id, ends_at: new Date(period.end) };
  const handed = await readHandedOn(database, of, { period_id, starts_at, decided_from: origin.decided_from });
  const opening = await readOpened(database, origin);
  return { ...handed, opening, passed_on: handed.passed_on ?? known?.passed_on ?? [] };
}

/** What an issued revision opened with of allowances. */
async function readOpened(
  database: Queryable,
  { period_id, revision }: Pick<LateOrigin, 'period_id' | 'revision'>,
): Promise<RolledOver[]> {
  const { rows } = await database.query<{ opening: RolledOver[] | null }>(
    `SELECT content::jsonb #> '{balances,opening,rollover}' AS opening FROM invoices WHERE period_id = $1 AND revision = $2`,
    [period_id, revision],
  );
  return rows[0]?.opening ?? [];
}

/** Whether the commitment that the carrying period opens with was under way in the origin already. */
async function isCommitted(
  database: Queryable,
  { customer_id, starts_at, opening }: CarryingPeriod,
  { period }: SealInputs,
): Promise<boolean> {
  if (!opening?.commitment) return false;
  const { rows } = await database.query<{ periods: number }>(
    'SELECT count(*) AS periods FROM periods WHERE customer_id = $1 AND starts_at >= $2 AND ends_at <= $3',
    [customer_id, period.start, starts_at],
  );
  return rows[0]!.periods <= opening.commitment.over;
}
