import { contentHash } from '../contracts/canonical-json.js';
import type { CatalogVersionBody, CatalogVersionSummary } from '../contracts/catalog.js';
import { lockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool } from '../database/pool.js';
import { BUNDLED_SOURCE, readBundledCatalog } from './bundled-catalog.js';
import { currentCatalogVersion, readModels } from './catalog-store.js';
import { checkCatalogVersion } from './check-version.js';
import { insertMultipliers, insertNames, insertPrices } from './insert-rows.js';

/** Who publishes, and where the prices come from ("api", the name of an importer). */
export interface Publisher {
  actor: string;
  source: string;
}

/**
 * Publishes a body as the next version, in one transaction under the exclusive lock that seals take shared: a seal sees
 * all of a version or nothing of it. Throws `invalid_catalog` and `buries_prices` (see check-version.ts).
 */
export async function publishCatalogVersion(
  pool: Pool,
  body: CatalogVersionBody,
  by: Publisher,
): Promise<CatalogVersionSummary> {
  return inTransaction(pool, async (client) => {
    await lockCatalog(client);
    return publishNext(client, body, by);
  });
}

/**
 * Publishes the bundled prices as version 1 where the database has no version; returns the current version. Safe when
 * several processes start at once: the lock lets one of them publish, the others find its version.
 */
export async function ensureBundledCatalog(pool: Pool): Promise<number> {
  const current = await currentCatalogVersion(pool);
  if (current > 0) return current;
  const body = await readBundledCatalog();
  return inTransaction(pool, async (client) => {
    await lockCatalog(client);
    const published = await currentCatalogVersion(client);
    if (published > 0) return published;
    return (await publishNext(client, body, { actor: 'costplus', source: BUNDLED_SOURCE })).version;
  });
}

/** Takes the lock of publishing until the transaction ends: the current version cannot change meanwhile. */
export async function lockCatalog(client: Client): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('catalog')]);
}

/** Publishes inside the caller's transaction, which holds the lock; throws like `publishCatalogVersion`. */
export async function publishNext(
  client: Client,
  body: CatalogVersionBody,
  by: Publisher,
): Promise<CatalogVersionSummary> {
  const current = await currentCatalogVersion(client);
  const successors = body.models.flatMap(({ provider, successor }) =>
    successor === undefined ? [] : [{ provider, model_id: successor }],
  );
  const named = [...body.prices, ...body.aliases, ...body.match_rules, ...successors];
  checkCatalogVersion(await readModels(client, current, named), body);
  const version = current + 1;
  const hash = contentHash(body);
  const { rows } = await client.query<{ published_at: Date }>(
    `INSERT INTO catalog_versions (version, note, source, published_by, content_hash)
     VALUES ($1, $2, $3, $4, $5) RETURNING published_at`,
    [version, body.note, by.source, by.actor, hash],
  );
  await insertPrices(client, version, body.prices);
  await insertNames(client, version, body);
  await insertMultipliers(client, version, body);
  await client.query(`INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, 'catalog.publish', $2, $3)`, [
    by.actor,
    `catalog/${version}`,
    { content_hash: hash, prices: body.prices.length, note: body.note },
  ]);
  return {
    version,
    note: body.note,
    source: by.source,
    published_by: by.actor,
    published_at: rows[0]!.published_at.toISOString(),
    content_hash: hash,
    prices: body.prices.length,
  };
}
