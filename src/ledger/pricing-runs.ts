import type { Catalog } from '../catalog/catalog.js';
import { lockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool, type Queryable, transaction } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { PRICING_RUNS_COMPACT_COUNT } from '../limits.js';
import { EMPTY_RESULT, mergeResults } from '../pricing/merge-results.js';
import { createPricer, type PricingDocuments } from '../pricing/price-events.js';
import type { PricingInputs, PricingResult } from '../pricing/pricing-result.js';
import type { ActionCounts } from './action-counts.js';
import { dropRepricing } from './pricing-slices.js';
import { type TotalsTerms, writeTotals } from './totals.js';
import { readUsage } from './usage-reader.js';

/** Where pricing of a period stands. */
export interface PricingHead {
  priced_to: bigint;
  inputs_hash: string;
  catalog_version: number;
  /** Ids of the decisions about held usage that it was priced with, ascending. */
  decisions: number[];
  /** The voids that it left out: those up to this one. */
  voided_to: number;
}

export interface PricingRun {
  period_id: number;
  inputs_hash: string;
  from_xid: bigint;
  to_xid: bigint;
  catalog_version: number;
  result: PricingResult;
}

export async function readHead(database: Queryable, periodId: number): Promise<PricingHead | null> {
  const { rows } = await database.query<Omit<PricingHead, 'priced_to'> & { priced_to: string }>(
    `SELECT priced_to::text, inputs_hash, catalog_version, to_jsonb(decisions) AS decisions, voided_to
     FROM period_totals WHERE period_id = $1`,
    [periodId],
  );
  const row = rows[0];
  return row ? { ...row, priced_to: BigInt(row.priced_to) } : null;
}

/** The sum of a period's runs at these inputs: what is priced of it so far. */
export async function readResult(database: Queryable, periodId: number, inputsHash: string): Promise<PricingResult> {
  const { rows } = await database.query<{ result: PricingResult }>(
    'SELECT result FROM pricing_runs WHERE period_id = $1 AND inputs_hash = $2 ORDER BY from_xid',
    [periodId, inputsHash],
  );
  return rows.reduce((total, row) => mergeResults(total, row.result), EMPTY_RESULT);
}

/** Whether a chunk of the range names the period: one that the relay has it priced for. */
export async function hasChunks(database: Queryable, periodId: number, from: bigint, to: bigint): Promise<boolean> {
  const { rows } = await database.query<{ present: boolean }>(
    `SELECT EXISTS (SELECT FROM usage_chunks WHERE chunk >= $2::text::xid8 AND chunk < $3::text::xid8
       AND $1::bigint = ANY(period_ids)) AS present`,
    [periodId, from.toString(), to.toString()],
  );
  return rows[0]!.present;
}

/** Prices a range of a period's events in memory-bounded steps. */
export async function priceRange(
  database: Pool | Client,
  catalog: Catalog,
  inputs: PricingInputs,
  documents: PricingDocuments,
  range: { period_id: number; from_xid: bigint; to_xid: bigint; model_ids?: string[] },
  onProgress?: (events: number) => void,
): Promise<PricingResult> {
  const pricer = createPricer(catalog, inputs, documents);
  await readUsage(
    database,
    { ...range, voided_to: inputs.voided_to },
    (rows) => {
      for (const row of rows) pricer.add(row);
    },
    onProgress,
  );
  return pricer.result();
}

/**
 * Writes a run and moves the head with it, in one transaction under the period's pricing lock; runs beyond
 * PRICING_RUNS_COMPACT_COUNT are folded into one. `expected` is the head that the run was computed on: another one
 * there by now throws `stale_inputs` (an attempt that was overtaken). A sealed period refuses foreign inputs (trigger).
 * `actions`: what is counted of the period up to the run's end (src/ledger/action-counts.ts). Returns the sum of the period's
 * runs.
 */
export async function writeRun(
  session: Client,
  run: PricingRun,
  expected: PricingHead | null,
  terms: TotalsTerms,
  actions: ActionCounts,
): Promise<PricingResult> {
  return transaction(session, async () => {
    await session.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('pricing', run.period_id)]);
    const head = await readHead(session, run.period_id);
    if (head?.priced_to !== expected?.priced_to || head?.inputs_hash !== expected?.inputs_hash) {
      throw new CostplusError('stale_inputs', `Period ${run.period_id} was priced meanwhile; read its head again.`);
    }
    await insertRun(session, run);
    await dropRepricing(session, run.period_id);
    const whole = await foldRuns(session, run);
    await writeTotals(session, run, whole, terms, actions);
    return whole;
  });
}

/**
 * Computes a period's totals anew from what is priced of it: the rates moved, or actions were counted. Does nothing where
 * pricing moved on meanwhile, which computed them itself.
 */
export async function refreshTotals(
  session: Client,
  periodId: number,
  expected: PricingHead,
  terms: TotalsTerms,
  actions: ActionCounts,
): Promise<void> {
  await transaction(session, async () => {
    await session.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('pricing', periodId)]);
    const head = await readHead(session, periodId);
    if (head?.priced_to !== expected.priced_to || head.inputs_hash !== expected.inputs_hash) return;
    const whole = await readResult(session, periodId, head.inputs_hash);
    await writeTotals(session, { ...head, period_id: periodId, to_xid: head.priced_to }, whole, terms, actions);
  });
}

/**
 * Puts a revision's own pricing in the place of the runs of earlier ones: what the period shows is its newest revision.
 * Throws `stale_inputs` where a later revision was sealed meanwhile.
 */
export async function replaceRuns(
  pool: Pool,
  run: PricingRun & { revision: number },
  terms: TotalsTerms,
  actions: ActionCounts,
): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('pricing', run.period_id)]);
    const { rows } = await client.query<{ newest: number }>(
      'SELECT max(revision) AS newest FROM seals WHERE period_id = $1',
      [run.period_id],
    );
    if (rows[0]!.newest !== run.revision) {
      throw new CostplusError('stale_inputs', `Period ${run.period_id} was sealed again meanwhile.`);
    }
    await client.query('DELETE FROM pricing_runs WHERE period_id = $1', [run.period_id]);
    await insertRun(client, run);
    await dropRepricing(client, run.period_id);
    await writeTotals(client, run, run.result, terms, actions);
  });
}

function insertRun(client: Client, run: PricingRun): Promise<unknown> {
  return client.query(
    `INSERT INTO pricing_runs (period_id, inputs_hash, from_xid, to_xid, catalog_version, events, result)
     VALUES ($1, $2, $3::text::xid8, $4::text::xid8, $5, $6, $7)`,
    [
      run.period_id,
      run.inputs_hash,
      run.from_xid.toString(),
      run.to_xid.toString(),
      run.catalog_version,
      run.result.events,
      JSON.stringify(run.result),
    ],
  );
}

/** Sums the period's runs at the run's inputs; drops runs at other inputs, and folds many runs into one. */
async function foldRuns(client: Client, run: PricingRun): Promise<PricingResult> {
  await client.query('DELETE FROM pricing_runs WHERE period_id = $1 AND inputs_hash <> $2', [
    run.period_id,
    run.inputs_hash,
  ]);
  const whole = await readResult(client, run.period_id, run.inputs_hash);
  const { rows } = await client.query<{ runs: number; from_xid: string }>(
    'SELECT count(*)::int AS runs, min(from_xid::text::numeric)::text AS from_xid FROM pricing_runs WHERE period_id = $1',
    [run.period_id],
  );
  if (rows[0]!.runs > PRICING_RUNS_COMPACT_COUNT) {
    await client.query('DELETE FROM pricing_runs WHERE period_id = $1', [run.period_id]);
    await insertRun(client, { ...run, from_xid: BigInt(rows[0]!.from_xid), result: whole });
  }
  return whole;
}
