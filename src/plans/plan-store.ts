import { contentHash } from '../contracts/canonical-json.js';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import { ID_PATTERN } from '../contracts/ids.js';
import type { Page, PageRequest } from '../contracts/page.js';
import { type Plan, type PlanVersion, planSchema } from '../contracts/plan.js';
import { schemaFault } from '../contracts/schema-fault.js';
import { lockKey } from '../database/locks.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { checkPlan } from './plan-rules.js';

interface PlanVersionRow {
  plan_id: string;
  version: number;
  content_hash: string;
  published_at: Date;
  body: Plan;
}

const COLUMNS = 'plan_id, version, content_hash, published_at, body';

/**
 * Publishes the next version of a plan, parsed and with its defaults written out. Content that equals the newest
 * version's answers that version again, so that a repeated request makes nothing new. Changes no bill: an assignment to
 * a customer does. Throws `invalid_plan` with the field at fault. Logged with `actor` in the audit log.
 */
export async function publishPlan(pool: Pool, body: unknown, actor: string): Promise<PlanVersion> {
  const plan = parsePlan(body);
  const hash = contentHash(plan);
  return inTransaction(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('plans')]);
    const newest = await newestRow(client, plan.plan_id);
    const isRepeat = newest?.content_hash === hash;
    const row = isRepeat ? newest : await insertVersion(client, plan, (newest?.version ?? 0) + 1, hash, actor);
    await client.query('INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)', [
      actor,
      'plan.publish',
      plan.plan_id,
      JSON.stringify({ version: row.version, content_hash: hash, new_version: !isRepeat }),
    ]);
    return toPlanVersion(row);
  });
}

/** A plan version, the newest where none is given. Throws `unknown_plan` where there is none. */
export async function readPlan(database: Queryable, planId: string, version?: number): Promise<PlanVersion> {
  const row = version === undefined ? await newestRow(database, planId) : await versionRow(database, planId, version);
  if (!row) {
    const which = version === undefined ? '' : ` version ${version}`;
    throw new CostplusError('unknown_plan', `There is no plan ${ID_PATTERN.test(planId) ? planId : ''}${which}.`);
  }
  return toPlanVersion(row);
}

/** The number of a plan's newest version; 0 where there is none. */
export async function newestPlanVersion(database: Queryable, planId: string): Promise<number> {
  return (await newestRow(database, planId))?.version ?? 0;
}

/** The newest version of each plan, in code unit order of their ids. Throws `invalid_request` for a foreign cursor. */
export async function listPlans(database: Queryable, page: PageRequest): Promise<Page<PlanVersion>> {
  const { rows } = await database.query<PlanVersionRow>(
    `SELECT DISTINCT ON (plan_id) ${COLUMNS} FROM plan_versions
     WHERE plan_id > $1 ORDER BY plan_id, version DESC LIMIT $2`,
    [page.cursor === null ? '' : readCursor(page.cursor), page.limit + 1],
  );
  const data = rows.slice(0, page.limit).map(toPlanVersion);
  const last = rows.length > page.limit ? data.at(-1) : undefined;
  return { data, next_cursor: last ? writeCursor(last.plan_id) : null };
}

function parsePlan(body: unknown): Plan {
  const parsed = planSchema.safeParse(body);
  if (!parsed.success) {
    const { field, reason } = schemaFault(parsed.error);
    const subject = field === '' ? 'The plan' : field;
    throw new CostplusError('invalid_plan', `${subject}: ${reason}.`, field === '' ? {} : { field });
  }
  checkPlan(parsed.data);
  return parsed.data;
}

async function newestRow(database: Queryable, planId: string): Promise<PlanVersionRow | undefined> {
  const { rows } = await database.query<PlanVersionRow>(
    `SELECT ${COLUMNS} FROM plan_versions WHERE plan_id = $1 ORDER BY version DESC LIMIT 1`,
    [planId],
  );
  return rows[0];
}

async function versionRow(database: Queryable, planId: string, version: number): Promise<PlanVersionRow | undefined> {
  const { rows } = await database.query<PlanVersionRow>(
    `SELECT ${COLUMNS} FROM plan_versions WHERE plan_id = $1 AND version = $2::bigint`,
    [planId, version],
  );
  return rows[0];
}

async function insertVersion(
  client: Queryable,
  plan: Plan,
  version: number,
  hash: string,
  actor: string,
): Promise<PlanVersionRow> {
  const { rows } = await client.query<PlanVersionRow>(
    `INSERT INTO plan_versions (plan_id, version, body, content_hash, published_by)
     VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
    [plan.plan_id, version, JSON.stringify(plan), hash, actor],
  );
  return rows[0]!;
}

function toPlanVersion(row: PlanVersionRow): PlanVersion {
  return {
    plan_id: row.plan_id,
    version: row.version,
    content_hash: row.content_hash,
    published_at: row.published_at.toISOString(),
    plan: row.body,
  };
}

function readCursor(cursor: string): string {
  return readPlace(cursor, ID_PATTERN);
}
