import { randomUUID } from 'node:crypto';
import type { AdjustmentBody, AdjustmentView } from '../contracts/adjustment.js';
import type { PeriodRef } from '../contracts/engine.js';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { ADJUSTMENTS_COUNT } from '../limits.js';
import { addTimeline } from '../periods/period-store.js';
import { lockBilling } from './billing-lock.js';
import { expectBillable } from './credits.js';

interface PeriodHead {
  period_id: number;
  sealed_at: Date | null;
  currency: string;
}

/**
 * Puts a one-off amount on the invoice of a period that is not sealed yet; the same request id does nothing twice.
 * Serialised with seals by the billing lock: it is in the seal or refused. Throws `unknown_period`, `wrong_status` after
 * the seal, `invalid_request` for an amount that cannot be billed, `conflict` for a request id of another adjustment or
 * too many of them. Audited.
 */
export async function addAdjustment(
  pool: Pool,
  ref: PeriodRef,
  body: AdjustmentBody,
  actor: string,
): Promise<AdjustmentView> {
  return inTransaction(pool, async (client) => {
    await lockBilling(client, ref.customer_id);
    const period = await readHead(client, ref);
    const requestId = body.request_id ?? randomUUID();
    const known = await client.query<Row & { same: boolean }>(
      `SELECT ${COLUMNS}, period_id = $2 AND amount = $3 AND kind = $4 AS same FROM ${ADJUSTMENTS} WHERE request_id = $1`,
      [requestId, period.period_id, body.amount, body.kind],
    );
    if (known.rows[0]) {
      const { same, ...row } = known.rows[0];
      if (same) return toView(row);
      throw new CostplusError('conflict', 'This request id made another adjustment; send a new one.', {
        field: 'request_id',
      });
    }
    if (period.sealed_at) {
      throw new CostplusError('wrong_status', 'The period is sealed; adjust the open period of the customer instead.');
    }
    expectBillable(body.amount, period.currency);
    const { rows } = await client.query<{ count: number }>(
      `SELECT count(*) FROM ${ADJUSTMENTS} WHERE period_id = $1 AND w.adjustment_id IS NULL`,
      [period.period_id],
    );
    if (rows[0]!.count >= ADJUSTMENTS_COUNT) {
      throw new CostplusError('conflict', `A period has at most ${ADJUSTMENTS_COUNT} adjustments.`);
    }
    const made = await client.query<{ adjustment_id: number }>(
      `INSERT INTO adjustments (period_id, request_id, kind, amount, currency, description, reason, created_by)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING adjustment_id`,
      [period.period_id, requestId, body.kind, body.amount, period.currency, body.description, body.reason, actor],
    );
    const view = (await readAdjustment(client, period.period_id, made.rows[0]!.adjustment_id))!;
    const { adjustment_id, kind, amount, currency, description } = view;
    await addTimeline(client, period.period_id, 'adjusted', { adjustment_id, kind, amount, currency, description });
    await audit(client, ref, 'period.adjust', view, actor);
    return view;
  });
}

/**
 * Takes an adjustment back before the period's seal: the invoice will not have it. Taking it back twice does nothing.
 * Serialised with seals like adding one. Throws `unknown_period`, `not_found` for an adjustment of another period,
 * `wrong_status` after the seal. Audited.
 */
export async function withdrawAdjustment(
  pool: Pool,
  ref: PeriodRef,
  adjustmentId: number,
  { reason, actor }: { reason: string; actor: string },
): Promise<AdjustmentView> {
  return inTransaction(pool, async (client) => {
    await lockBilling(client, ref.customer_id);
    const period = await readHead(client, ref);
    const known = await readAdjustment(client, period.period_id, adjustmentId);
    if (known === null) throw new CostplusError('not_found', 'The period has no such adjustment.');
    if (known.withdrawn !== null) return known;
    if (period.sealed_at) {
      throw new CostplusError('wrong_status', 'The period is sealed; adjust the open period of the customer instead.');
    }
    await client.query('INSERT INTO adjustment_withdrawals (adjustment_id, reason, withdrawn_by) VALUES ($1, $2, $3)', [
      adjustmentId,
      reason,
      actor,
    ]);
    const view = (await readAdjustment(client, period.period_id, adjustmentId))!;
    const { adjustment_id, amount, currency } = view;
    await addTimeline(client, period.period_id, 'adjustment_withdrawn', { adjustment_id, amount, currency, reason });
    await audit(client, ref, 'period.withdraw_adjustment', view, actor);
    return view;
  });
}

async function audit(
  client: Client,
  ref: PeriodRef,
  action: string,
  view: AdjustmentView,
  actor: string,
): Promise<void> {
  await client.query(
    'INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, $2, $3, $4, $5)',
    [actor, action, ref.customer_id, `${ref.customer_id}/${ref.start_date}`, JSON.stringify(view)],
  );
}

/** The adjustments of a period, those taken back too, in the order in which they were made. Throws `unknown_period`. */
export async function listAdjustments(database: Queryable, ref: PeriodRef): Promise<AdjustmentView[]> {
  const { period_id } = await readHead(database, ref);
  const { rows } = await database.query<Row>(
    `SELECT ${COLUMNS} FROM ${ADJUSTMENTS} WHERE period_id = $1 ORDER BY adjustment_id`,
    [period_id],
  );
  return rows.map(toView);
}

type Row = Omit<AdjustmentView, 'created_at' | 'withdrawn'> & {
  created_at: Date;
  withdrawn_at: Date | null;
  withdrawn_by: string;
  withdrawn_because: string;
};

const ADJUSTMENTS = 'adjustments a LEFT JOIN adjustment_withdrawals w USING (adjustment_id)';
const COLUMNS = `adjustment_id, kind, amount, currency, description, a.reason, created_by, created_at, withdrawn_at,
  withdrawn_by, w.reason AS withdrawn_because`;

async function readAdjustment(
  database: Queryable,
  periodId: number,
  adjustmentId: number,
): Promise<AdjustmentView | null> {
  const { rows } = await database.query<Row>(
    `SELECT ${COLUMNS} FROM ${ADJUSTMENTS} WHERE adjustment_id = $1 AND period_id = $2`,
    [adjustmentId, periodId],
  );
  return rows[0] ? toView(rows[0]) : null;
}

async function readHead(database: Queryable, ref: PeriodRef): Promise<PeriodHead> {
  const { rows } = await database.query<PeriodHead>(
    `SELECT p.period_id, p.sealed_at, c.currency FROM periods p JOIN customers c USING (customer_id)
     WHERE p.customer_id = $1 AND p.start_date = $2`,
    [ref.customer_id, ref.start_date],
  );
  if (rows[0]) return rows[0];
  throw new CostplusError('unknown_period', 'This customer has no billing period with that start date.');
}

function toView({ withdrawn_at, withdrawn_by, withdrawn_because, ...row }: Row): AdjustmentView {
  return {
    ...row,
    created_at: row.created_at.toISOString(),
    withdrawn:
      withdrawn_at === null ? null : { at: withdrawn_at.toISOString(), by: withdrawn_by, reason: withdrawn_because },
  };
}
