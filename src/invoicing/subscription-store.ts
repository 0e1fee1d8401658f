import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { type InvoiceToSubmit, overtaken, type RevisionRef } from './submission-store.js';

/** Where the submission of a revision's lines stands when an attempt begins. */
export interface PlaceClaim {
  attempt: number;
  failed_generations: number;
  confirmed_at: Date | null;
  started_at: Date;
}

const CLAIM = 'attempt, failed_generations, confirmed_at, started_at';

/**
 * Begins an attempt: from here on every write of an earlier one is refused. A confirmed submission is left as it is. The
 * row is committed before the first call to Stripe. Throws `stale_inputs` where the period was sealed again.
 */
export async function claimPlacing(pool: Pool, ref: RevisionRef, invoice: InvoiceToSubmit): Promise<PlaceClaim> {
  await pool.query(
    `INSERT INTO subscription_submissions (period_id, revision, invoice_key, content_hash) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING`,
    [ref.period_id, ref.revision, invoice.key, invoice.content_hash],
  );
  const claimed = await pool.query<PlaceClaim>(
    `UPDATE subscription_submissions SET attempt = attempt + 1
     WHERE period_id = $1 AND revision = $2 AND confirmed_at IS NULL
       AND NOT EXISTS (SELECT FROM seals WHERE period_id = $1 AND revision > $2)
     RETURNING ${CLAIM}`,
    [ref.period_id, ref.revision],
  );
  if (claimed.rows[0]) return claimed.rows[0];
  const { rows } = await pool.query<PlaceClaim>(
    `SELECT ${CLAIM} FROM subscription_submissions WHERE period_id = $1 AND revision = $2`,
    [ref.period_id, ref.revision],
  );
  if (!rows[0]?.confirmed_at) throw overtaken();
  return rows[0];
}

/** Throws `stale_inputs` when this attempt is not the newest any more, or the lines are confirmed. */
export async function expectPlacing(database: Queryable, ref: RevisionRef, attempt: number): Promise<void> {
  const { rowCount } = await database.query(
    `SELECT FROM subscription_submissions
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND confirmed_at IS NULL`,
    [ref.period_id, ref.revision, attempt],
  );
  if (rowCount === 0) throw overtaken();
}

/** What a generation's requests say: where its lines go. */
export interface PinnedTarget {
  stripe_customer_id: string;
  stripe_subscription_id: string;
  /** A draft of the subscription's renewal; null: they wait for its next invoice. */
  target_invoice_id: string | null;
}

export interface Generation extends PinnedTarget {
  generation: number;
  /** By this process' clock, whatever the database's says: the two may differ by minutes. */
  begun_at: Date;
}

/** How long ago something was in the database, as an instant by this process' clock. */
function ago(ageMs: number): Date {
  return new Date(Date.now() - ageMs);
}

const AGE = '(extract(epoch FROM clock_timestamp() - begun_at) * 1000)::float8';

/** The newest generation of a revision, or null. */
export async function readGeneration(database: Queryable, ref: RevisionRef): Promise<Generation | null> {
  const { rows } = await database.query<PinnedTarget & { generation: number; age_ms: number }>(
    `SELECT generation, stripe_customer_id, stripe_subscription_id, target_invoice_id, ${AGE} AS age_ms
     FROM subscription_generations WHERE period_id = $1 AND revision = $2 ORDER BY generation DESC LIMIT 1`,
    [ref.period_id, ref.revision],
  );
  if (!rows[0]) return null;
  const { age_ms, ...generation } = rows[0];
  return { ...generation, begun_at: ago(age_ms) };
}

/**
 * Pins the target of a generation, by compare-and-set: the attempt is the newest, and nobody began this one. Throws
 * `stale_inputs` when overtaken.
 */
export async function beginGeneration(
  pool: Pool,
  ref: RevisionRef,
  attempt: number,
  { number, target }: { number: number; target: PinnedTarget },
): Promise<Generation> {
  const begun_at = new Date();
  const begun = await inTransaction(pool, async (client) => {
    await client.query('SELECT FROM subscription_submissions WHERE period_id = $1 AND revision = $2 FOR UPDATE', [
      ref.period_id,
      ref.revision,
    ]);
    await expectPlacing(client, ref, attempt);
    return client.query(
      `INSERT INTO subscription_generations
         (period_id, revision, generation, stripe_customer_id, stripe_subscription_id, target_invoice_id)
       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
      [
        ref.period_id,
        ref.revision,
        number,
        target.stripe_customer_id,
        target.stripe_subscription_id,
        target.target_invoice_id,
      ],
    );
  });
  if (begun.rowCount === 0) throw overtaken();
  return { generation: number, ...target, begun_at };
}

/** Lines at Stripe were not as composed: counts it. Returns how often. Throws `stale_inputs` when overtaken. */
export async function countFailure(pool: Pool, ref: RevisionRef, attempt: number): Promise<number> {
  const { rows } = await pool.query<{ failed: number }>(
    `UPDATE subscription_submissions SET failed_generations = failed_generations + 1
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND confirmed_at IS NULL
     RETURNING failed_generations AS failed`,
    [ref.period_id, ref.revision, attempt],
  );
  if (!rows[0]) throw overtaken();
  return rows[0].failed;
}

/** A line as it was read at Stripe. Amounts in minor units. */
export interface PlacedItem {
  id: string;
  line_number: number;
  amount: number;
  stripe_customer_id: string;
  stripe_subscription_id: string | null;
}

/** Confirms that every line of the revision stands at Stripe once. Throws `stale_inputs` when overtaken. */
export async function confirmPlacing(
  pool: Pool,
  ref: RevisionRef,
  attempt: number,
  items: PlacedItem[],
): Promise<void> {
  await inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE subscription_submissions SET confirmed_at = now()
       WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND confirmed_at IS NULL`,
      [ref.period_id, ref.revision, attempt],
    );
    if (rowCount === 0) throw overtaken();
    await recordItems(client, ref, items, { stray: false });
  });
}

/** Notes lines that were read at Stripe; those that are known stay as they are. */
export async function recordItems(
  database: Queryable,
  ref: RevisionRef,
  items: PlacedItem[],
  { stray }: { stray: boolean },
): Promise<void> {
  await database.query(
    `INSERT INTO subscription_items (stripe_item_id, period_id, revision, line_number, amount_minor, seen_minor,
       stripe_customer_id, stripe_subscription_id, stray)
     SELECT id, $1, $2, line_number, amount, amount, customer, subscription, $8
     FROM unnest($3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[])
       AS item(id, line_number, amount, customer, subscription)
     ON CONFLICT (stripe_item_id) DO NOTHING`,
    [
      ref.period_id,
      ref.revision,
      items.map(({ id }) => id),
      items.map(({ line_number }) => line_number),
      items.map(({ amount }) => amount),
      items.map(({ stripe_customer_id }) => stripe_customer_id),
      items.map(({ stripe_subscription_id }) => stripe_subscription_id),
      stray,
    ],
  );
}

/** A person releases a parked period: its lines may fail as often again before it parks. */
export async function allowNewPlacing(database: Queryable, periodId: number): Promise<void> {
  await database.query(
    'UPDATE subscription_submissions SET failed_generations = 0 WHERE period_id = $1 AND confirmed_at IS NULL',
    [periodId],
  );
}

/** An earlier revision's way to Stripe, ended: its number and when its newest keys were begun. */
export interface EarlierPlacing extends RevisionRef {
  confirmed_at: Date | null;
  generation: number | null;
  begun_at: Date | null;
}

/**
 * Ends the submissions of earlier revisions: the attempt that they count from now on belongs to nobody, so that none of
 * theirs can begin a generation or confirm any more. Answers them, oldest first.
 */
export async function supersedePlacing(pool: Pool, ref: RevisionRef): Promise<EarlierPlacing[]> {
  await pool.query(
    `UPDATE subscription_submissions SET attempt = attempt + 1
     WHERE period_id = $1 AND revision < $2 AND confirmed_at IS NULL`,
    [ref.period_id, ref.revision],
  );
  const { rows } = await pool.query<Omit<EarlierPlacing, 'begun_at'> & { age_ms: number | null }>(
    `SELECT s.period_id, s.revision, s.confirmed_at, g.generation, g.age_ms
     FROM subscription_submissions s LEFT JOIN LATERAL (
       SELECT generation, ${AGE} AS age_ms FROM subscription_generations
       WHERE period_id = s.period_id AND revision = s.revision ORDER BY generation DESC LIMIT 1) g ON true
     WHERE s.period_id = $1 AND s.revision < $2 ORDER BY s.revision`,
    [ref.period_id, ref.revision],
  );
  return rows.map(({ age_ms, ...earlier }) => ({ ...earlier, begun_at: age_ms === null ? null : ago(age_ms) }));
}

/** Whether the revision's lines are to stand on a subscription's invoice, as far as their way there has begun. */
export async function isPlaced(database: Queryable, ref: RevisionRef): Promise<boolean> {
  const { rowCount } = await database.query(
    'SELECT FROM subscription_submissions WHERE period_id = $1 AND revision = $2',
    [ref.period_id, ref.revision],
  );
  return rowCount === 1;
}
