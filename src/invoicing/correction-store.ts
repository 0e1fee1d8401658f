import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CREDIT_NOTE_KEY_MINUTES } from '../limits.js';
import type { CorrectionPlan, EndedInvoice, SupplementLine } from './correction-plan.js';
import { overtaken, type RevisionRef } from './submission-store.js';

/** Where a correction stands. Amounts in minor units. */
export interface Correction {
  attempt: number;
  refund: 'balance' | 'refund';
  settled_at: Date | null;
  live_minor: number | null;
  difference_minor: number | null;
  invoice: CorrectionPlan['invoice'] | null;
  completed_at: Date | null;
}

const COLUMNS = 'attempt, refund, settled_at, live_minor, difference_minor, invoice, completed_at';

/** Begins the correction of a revision in the transaction that seals it. */
export async function beginCorrection(
  client: Client,
  ref: RevisionRef,
  refund: 'balance' | 'refund',
  by: { reason: string; actor: string },
): Promise<void> {
  await client.query(
    `INSERT INTO invoice_corrections (period_id, revision, refund, reason, requested_by) VALUES ($1, $2, $3, $4, $5)`,
    [ref.period_id, ref.revision, refund, by.reason, by.actor],
  );
}

/**
 * Begins an attempt: its number goes into the keys of calls that may be repeated. A completed one is left as it is. Throws
 * `stale_inputs` where the period was sealed again.
 */
export async function claimCorrection(pool: Pool, ref: RevisionRef): Promise<Correction> {
  const claimed = await pool.query<Correction>(
    `UPDATE invoice_corrections SET attempt = attempt + 1
     WHERE period_id = $1 AND revision = $2 AND completed_at IS NULL
       AND NOT EXISTS (SELECT FROM seals WHERE period_id = $1 AND revision > $2)
     RETURNING ${COLUMNS}`,
    [ref.period_id, ref.revision],
  );
  if (claimed.rows[0]) return claimed.rows[0];
  const known = await readCorrection(pool, ref);
  if (known.completed_at === null) throw overtaken();
  return known;
}

export async function readCorrection(database: Queryable, ref: RevisionRef): Promise<Correction> {
  const { rows } = await database.query<Correction>(
    `SELECT ${COLUMNS} FROM invoice_corrections WHERE period_id = $1 AND revision = $2`,
    [ref.period_id, ref.revision],
  );
  return rows[0]!;
}

/** Throws `stale_inputs` where a later attempt, or a later revision, has taken over. */
export async function expectCorrecting(database: Queryable, ref: RevisionRef, attempt: number): Promise<void> {
  const { rowCount } = await database.query(
    `SELECT FROM invoice_corrections WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND completed_at IS NULL
       AND NOT EXISTS (SELECT FROM seals WHERE period_id = $1 AND revision > $2)`,
    [ref.period_id, ref.revision, attempt],
  );
  if (rowCount === 0) throw overtaken();
}

/** Whether any revision of the period before this one has been on its way to Stripe. */
export async function hasSubmissions(database: Queryable, ref: RevisionRef): Promise<boolean> {
  const { rowCount } = await database.query(
    `SELECT FROM invoice_submissions WHERE period_id = $1 AND revision < $2
     UNION ALL SELECT FROM subscription_submissions WHERE period_id = $1 AND revision < $2 LIMIT 1`,
    [ref.period_id, ref.revision],
  );
  return rowCount !== 0;
}

/** Keeps others from beginning a credit note of this correction, or billing the period again, until the transaction ends. */
export async function lockCorrection(client: Client, ref: RevisionRef): Promise<void> {
  await client.query('SELECT FROM invoice_corrections WHERE period_id = $1 AND revision = $2 FOR UPDATE', [
    ref.period_id,
    ref.revision,
  ]);
}

/**
 * Whether a credit note of the period's newest revision may be on its way: its key was used a short time ago, and Stripe
 * has not answered. One that was refused, or never tried, is not: what stands at Stripe is read before the next revision
 * plans its own.
 */
export async function hasCreditNotesUnderWay(client: Client, periodId: number): Promise<boolean> {
  const { rows } = await client.query<{ revision: number }>(
    'SELECT revision FROM invoice_corrections WHERE period_id = $1 ORDER BY revision DESC LIMIT 1',
    [periodId],
  );
  if (!rows[0]) return false;
  const ref = { period_id: periodId, revision: rows[0].revision };
  await lockCorrection(client, ref);
  const { rowCount } = await client.query(
    `SELECT FROM invoice_credit_notes WHERE period_id = $1 AND revision = $2 AND stripe_credit_note_id IS NULL
       AND tried_at > now() - make_interval(mins => $3) LIMIT 1`,
    [ref.period_id, ref.revision, CREDIT_NOTE_KEY_MINUTES],
  );
  return rowCount === 1;
}

export interface EarlierSubmission {
  revision: number;
  elected_invoice_id: string | null;
}

/**
 * Ends the submissions of earlier revisions: the attempt that they count from now on belongs to nobody, so that no
 * attempt of theirs can elect or confirm any more. Answers them, oldest first.
 */
export async function supersedeEarlier(pool: Pool, ref: RevisionRef): Promise<EarlierSubmission[]> {
  const { rows } = await pool.query<EarlierSubmission>(
    `WITH superseded AS (
       UPDATE invoice_submissions SET attempt = attempt + 1 WHERE period_id = $1 AND revision < $2 AND confirmed_at IS NULL
       RETURNING revision, elected_invoice_id
     )
     SELECT revision, elected_invoice_id FROM superseded
     UNION ALL
     SELECT revision, elected_invoice_id FROM invoice_submissions
     WHERE period_id = $1 AND revision < $2 AND confirmed_at IS NOT NULL
     ORDER BY revision`,
    [ref.period_id, ref.revision],
  );
  return rows;
}

/** What a revision was composed to, whatever of it has to be invoiced; `total` in minor units. */
export interface Composed {
  content_hash: string;
  total: number;
}

export async function readComposed(database: Queryable, ref: RevisionRef): Promise<Composed> {
  const { rows } = await database.query<Composed>(
    'SELECT content_hash, subtotal_minor AS total FROM invoices WHERE period_id = $1 AND revision = $2',
    [ref.period_id, ref.revision],
  );
  return rows[0]!;
}

/** All invoices that revisions up to this one have at Stripe, oldest first. */
export async function readElected(database: Queryable, ref: RevisionRef): Promise<string[]> {
  const { rows } = await database.query<{ id: string }>(
    `SELECT elected_invoice_id AS id FROM invoice_submissions
     WHERE period_id = $1 AND revision <= $2 AND elected_invoice_id IS NOT NULL ORDER BY revision`,
    [ref.period_id, ref.revision],
  );
  return rows.map(({ id }) => id);
}

/**
 * Settles a correction: how the earlier invoices ended, and what is to be done because of it, in one transaction. The
 * first of two that settle wins; what it wrote stands.
 */
export async function settleCorrection(
  pool: Pool,
  ref: RevisionRef,
  ended: EndedInvoice[],
  plan: CorrectionPlan,
  supplement: { lines: SupplementLine[]; hash: string } | null,
): Promise<void> {
  await inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE invoice_corrections SET settled_at = now(), live_minor = $3, difference_minor = $4, invoice = $5, lines = $6,
         lines_hash = $7
       WHERE period_id = $1 AND revision = $2 AND settled_at IS NULL
         AND NOT EXISTS (SELECT FROM seals WHERE period_id = $1 AND revision > $2)`,
      [
        ref.period_id,
        ref.revision,
        plan.live,
        plan.difference,
        plan.invoice,
        supplement === null ? null : JSON.stringify(supplement.lines),
        supplement?.hash ?? null,
      ],
    );
    if (rowCount === 0) return;
    await client.query(
      `INSERT INTO invoice_correction_steps (period_id, revision, stripe_invoice_id, ended)
       SELECT $1, $2, * FROM unnest($3::text[], $4::text[])`,
      [ref.period_id, ref.revision, ended.map(({ id }) => id), ended.map((invoice) => invoice.ended)],
    );
    await client.query(
      `INSERT INTO invoice_credit_notes (period_id, revision, stripe_invoice_id, part, amount_minor, lines)
       SELECT $1, $2, stripe_invoice_id, part, amount, nullif(lines, 'null')
       FROM jsonb_to_recordset($3) AS planned (stripe_invoice_id text, part integer, amount bigint, lines jsonb)`,
      [ref.period_id, ref.revision, JSON.stringify(plan.credits)],
    );
  });
}

/** The books of the period equal its newest revision. Throws `stale_inputs` when overtaken. */
export async function completeCorrection(pool: Pool, ref: RevisionRef, attempt: number): Promise<void> {
  const { rowCount } = await pool.query(
    `UPDATE invoice_corrections SET completed_at = now()
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND completed_at IS NULL AND settled_at IS NOT NULL`,
    [ref.period_id, ref.revision, attempt],
  );
  if (rowCount === 0) throw overtaken();
}

/** A revision that goes to Stripe as meter events has nothing to correct there: its difference is sent as one more. */
export async function completeMetered(client: Client, ref: RevisionRef): Promise<void> {
  await client.query(
    `UPDATE invoice_corrections SET settled_at = now(), live_minor = 0, difference_minor = 0, invoice = 'none',
       completed_at = now()
     WHERE period_id = $1 AND revision = $2 AND completed_at IS NULL`,
    [ref.period_id, ref.revision],
  );
}
