import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CostplusError } from '../errors/error.js';
import { lockKey } from './locks.js';
import type { Pool } from './pool.js';

const MIGRATIONS = join(dirname(fileURLToPath(import.meta.url)), 'migrations');

/** The numbered migrations this code knows, in order. */
export async function listMigrations(): Promise<{ version: number; name: string }[]> {
  const names = (await readdir(MIGRATIONS)).filter((name) => /^\d{4}_[a-z_]+\.sql$/.test(name)).sort();
  return names.map((name, index) => {
    const version = Number(name.slice(0, 4));
    if (version !== index + 1) throw new Error(`migration ${name} is out of sequence`);
    return { version, name };
  });
}

/** The newest migration that the database has; 0 for an empty one. */
export async function databaseVersion(pool: Pool): Promise<number> {
  const known = await pool.query<{ present: boolean }>(
    `SELECT to_regclass('schema_migrations') IS NOT NULL AS present`,
  );
  if (!known.rows[0]!.present) return 0;
  const newest = await pool.query<{ version: number }>(
    'SELECT coalesce(max(version), 0) AS version FROM schema_migrations',
  );
  return newest.rows[0]!.version;
}

/**
 * Brings the database to this code's schema, each migration in a transaction of its own, under an advisory lock, so
 * that processes that start together run each once. Returns the names applied. Throws `database_newer` when the
 * database knows migrations that this code does not: an old process must not write into a newer schema.
 */
export async function migrate(pool: Pool): Promise<string[]> {
  const migrations = await listMigrations();
  const applied: string[] = [];
  const client = await pool.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1::bigint)', [lockKey('migrations')]);
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    const current = await databaseVersion(pool);
    if (current > migrations.length) {
      throw new CostplusError(
        'database_newer',
        `The database is at migration ${current}, this code knows ${migrations.length}. Deploy the newer code.`,
      );
    }
    for (const { version, name } of migrations.slice(current)) {
      const sql = await readFile(join(MIGRATIONS, name), 'utf8');
      await client.query('BEGIN');
      try {
        await client.query(sql);
        await client.query('INSERT INTO schema_migrations (version, name) VALUES ($1, $2)', [version, name]);
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
      applied.push(name);
    }
    return applied;
  } finally {
    await client.query('SELECT pg_advisory_unlock_all()').catch(() => undefined);
    client.release();
  }
}
