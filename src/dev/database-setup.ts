import { ensureBundledCatalog } from '../catalog/publish.js';
import { migrate } from '../database/migrate.js';
import { createPool } from '../database/pool.js';
import { createApiKey } from '../http/api-keys.js';
import { readOrigin, renumber } from '../ledger/origin.js';
import { createSource } from '../sources/sources.js';
import type { Secrets } from './secrets.js';

/**
 * Brings a database to where the API and the worker can start: schema, bundled catalog, the home's usage source and
 * API keys; one that was restored from a dump is renumbered, before anything runs on it. Answers how many migrations were
 * new. Doing it again changes nothing.
 */
export async function setUpDatabase(databaseUrl: string, secrets: Secrets, encryptionKey: Buffer): Promise<number> {
  const pool = createPool(databaseUrl, { max: 2, applicationName: 'costplus-start' });
  try {
    const applied = await migrate(pool);
    if ((await readOrigin(pool)).ahead) await renumber(pool, 'costplus start');
    await ensureBundledCatalog(pool);
    const { source, secret } = secrets.signing;
    await createSource(pool, encryptionKey, { source_id: source, secret });
    const { service, ops, finance } = secrets.keys;
    await createApiKey(pool, { role: 'service', name: 'local service', source_id: source, key: service });
    await createApiKey(pool, { role: 'ops', name: 'local ops', key: ops });
    await createApiKey(pool, { role: 'finance', name: 'local finance', key: finance });
    return applied.length;
  } finally {
    await pool.end();
  }
}
