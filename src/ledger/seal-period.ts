import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { COMPOSER_VERSION } from '../contracts/invoice.js';
import { lockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { addTimeline } from '../periods/period-store.js';
import { beginWaiting } from '../periods/period-waits.js';
import { lockBilling, lockPeriod } from './billing-lock.js';
import { carryLateUsage } from './late-usage.js';
import { expectRates } from './opening-rates.js';
import { readSeal, readSealablePeriod, readSealInputs, type Seal, type SealInputs } from './seal.js';

/**
 * Seals a period: takes its lock exclusively, so that every append that read it open has committed; from here on what
 * arrives is late (invariant 8). The same transaction pins the inputs: publishing a catalog holds its lock exclusively,
 * the seal shares it, so that "the newest version" has one meaning. Late usage of earlier periods is carried into it.
 * Sealing twice answers the first seal. Null: the period waits for another one, whose invoice decides what is left for
 * this one; it says so, and goes on when that is composed. Throws `wrong_status` unless the period is `closing`, and
 * `no_exchange_rate` where its usage is priced in a currency without one.
 */
export async function sealPeriod(
  { pool, catalogs }: { pool: Pool; catalogs: CatalogCache },
  periodId: number,
  reason: string,
): Promise<Seal | null> {
  const named = await readSealablePeriod(pool, periodId);
  if (!named) throw new CostplusError('unknown_period', `There is no period ${periodId}.`);
  return inTransaction(pool, async (client) => {
    await lockBilling(client, named.customer_id);
    await lockPeriod(client, periodId);
    await client.query('SELECT pg_advisory_xact_lock_shared($1::bigint)', [lockKey('catalog')]);
    const known = await readSeal(client, periodId);
    if (known) return known;
    const period = (await readSealablePeriod(client, periodId, true))!;
    if (period.status !== 'closing') {
      throw new CostplusError(
        'wrong_status',
        `Period ${period.start_date} is ${period.status}; only a closing one is sealed.`,
      );
    }
    const catalogVersion = await currentCatalogVersion(client);
    const read = await readSealInputs(client, period, catalogVersion);
    const { inputs, inputs_hash } = read;
    const waitsFor = read.waits_for ?? read.busy;
    if (waitsFor !== null) {
      await beginWaiting(client, period, waitsFor);
      return null;
    }
    await expectRates(client, period, inputs);
    const carrying = { ...period, opening: inputs.opening, before: read.before?.period_id ?? null };
    const late = await carryLateUsage(client, catalogs, carrying, catalogVersion);
    await insertSeal(client, {
      period_id: periodId,
      revision: 1,
      catalog_version: catalogVersion,
      inputs_hash,
      inputs: late === null ? inputs : { ...inputs, late },
      reason,
    });
    await client.query(
      `UPDATE periods SET status = 'sealed', sealed_at = now(), waits_for = NULL, close_reason = NULL, updated_at = now()
       WHERE period_id = $1`,
      [periodId],
    );
    await addTimeline(client, periodId, 'sealed', { revision: 1, catalog_version: catalogVersion, reason });
    return (await readSeal(client, periodId))!;
  });
}

/** Writes the seal of a revision in the transaction that makes it; its transaction id bounds the set of events. */
export async function insertSeal(
  client: Client,
  seal: Pick<Seal, 'period_id' | 'revision' | 'catalog_version' | 'inputs_hash'> & {
    inputs: SealInputs;
    reason: string;
  },
): Promise<void> {
  await client.query(
    `INSERT INTO seals (period_id, revision, sealed_xid, catalog_version, inputs_hash, inputs, composer_version, reason)
     VALUES ($1, $2, ledger_xid(), $3, $4, $5, $6, $7)`,
    [
      seal.period_id,
      seal.revision,
      seal.catalog_version,
      seal.inputs_hash,
      JSON.stringify(seal.inputs),
      COMPOSER_VERSION,
      seal.reason,
    ],
  );
}
