import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { createPool, type Pool } from '../../src/database/pool.js';

/** A fresh database: a clone of the migrated template. `drop` removes it with its connections. */
export async function cloneDatabase(): Promise<{ url: string; pool: Pool; drop: () => Promise<void> }> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  const maintenanceUrl = inject('postgresUrl');
  const maintenance = createPool(maintenanceUrl, { max: 1 });
  await maintenance.query(`CREATE DATABASE ${name} TEMPLATE costplus_template`);
  await maintenance.end();
  const url = new URL(maintenanceUrl);
  url.pathname = `/${name}`;
  const pool = createPool(url.href, { max: 10 });
  return {
    url: url.href,
    pool,
    drop: async () => {
      await pool.end();
      const again = createPool(maintenanceUrl, { max: 1 });
      await again.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await again.end();
    },
  };
}
