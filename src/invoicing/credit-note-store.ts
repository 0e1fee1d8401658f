import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { expectCorrecting, lockCorrection } from './correction-store.js';
import type { CreditedLine } from './credit-lines.js';
import { overtaken, type RevisionRef } from './submission-store.js';

/** How what was paid is given back (minor units, with tax); what was not paid yet is asked for no more. */
export interface GivenBack {
  /** Goes back to where it was paid from. */
  refund: number;
  /** Goes to the customer's balance. */
  credit: number;
}

/** A credit note of a correction; `amount_minor` before tax. */
export interface CreditNoteRow {
  stripe_invoice_id: string;
  part: number;
  amount_minor: number;
  lines: CreditedLine[] | null;
  /** Committed with the first use of the generation's key. */
  refund_minor: number | null;
  credit_minor: number | null;
  generation: number;
  /** When the key of this generation was first used. */
  tried_at: Date | null;
  stripe_credit_note_id: string | null;
}

const COLUMNS =
  'stripe_invoice_id, part, amount_minor, lines, refund_minor, credit_minor, generation, tried_at, stripe_credit_note_id';
const NAMED = 'period_id = $1 AND revision = $2 AND stripe_invoice_id = $3 AND part = $4';

export async function readCreditNotes(database: Queryable, ref: RevisionRef): Promise<CreditNoteRow[]> {
  const { rows } = await database.query<CreditNoteRow>(
    `SELECT ${COLUMNS} FROM invoice_credit_notes WHERE period_id = $1 AND revision = $2 ORDER BY stripe_invoice_id, part`,
    [ref.period_id, ref.revision],
  );
  return rows;
}

/**
 * Commits what goes out under the key of a generation, before it is used: the first writer wins, so that a key never has
 * two bodies. Throws `stale_inputs` where another attempt did, or moved on.
 */
export async function beginCreditTry(
  pool: Pool,
  by: RevisionRef & { attempt: number },
  note: CreditNoteRow,
  generation: number,
  { refund, credit }: GivenBack,
): Promise<Date> {
  return inTransaction(pool, async (client) => {
    // A re-bill takes the same lock before it looks for keys in use: it sees this one, or this one sees its seal.
    await lockCorrection(client, by);
    await expectCorrecting(client, by, by.attempt);
    const { rows } = await client.query<{ tried_at: Date }>(
      `UPDATE invoice_credit_notes SET generation = $6, refund_minor = $7, credit_minor = $8, tried_at = now()
       WHERE ${NAMED} AND generation = $5 AND ($6 > $5 OR tried_at IS NULL) AND stripe_credit_note_id IS NULL
       RETURNING tried_at`,
      [by.period_id, by.revision, note.stripe_invoice_id, note.part, note.generation, generation, refund, credit],
    );
    if (!rows[0]) throw overtaken();
    return rows[0].tried_at;
  });
}

/**
 * Stripe refused what went out under the key of this generation, and answers so whenever it is sent again: the next one
 * follows with what is right then.
 */
export async function endCreditTry(pool: Pool, ref: RevisionRef, note: CreditNoteRow): Promise<void> {
  await pool.query(
    `UPDATE invoice_credit_notes SET generation = generation + 1, refund_minor = NULL, credit_minor = NULL, tried_at = NULL
     WHERE ${NAMED} AND generation = $5 AND stripe_credit_note_id IS NULL`,
    [ref.period_id, ref.revision, note.stripe_invoice_id, note.part, note.generation],
  );
}

/** Notes the credit note at Stripe; its total is with tax (minor units). */
export async function recordCreditNote(
  pool: Pool,
  ref: RevisionRef,
  note: Pick<CreditNoteRow, 'stripe_invoice_id' | 'part'>,
  made: { id: string; total: number },
): Promise<void> {
  await pool.query(
    `UPDATE invoice_credit_notes SET stripe_credit_note_id = $5, total_minor = $6, issued_at = now()
     WHERE ${NAMED} AND stripe_credit_note_id IS NULL`,
    [ref.period_id, ref.revision, note.stripe_invoice_id, note.part, made.id, made.total],
  );
}
