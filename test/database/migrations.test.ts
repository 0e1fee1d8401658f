import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseVersion, listMigrations, migrate } from '../../src/database/migrate.js';
import { cloneDatabase } from '../support/database.js';

describe('migrations', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  it('have been applied once, and a second run applies nothing', async () => {
    expect(await databaseVersion(database.pool)).toBe((await listMigrations()).length);
    expect(await migrate(database.pool)).toEqual([]);
  });

  it('are refused when the database is newer than the code', async () => {
    await database.pool.query(
      `INSERT INTO schema_migrations (version, name) VALUES (9999, '9999_from_the_future.sql')`,
    );
    await expect(migrate(database.pool)).rejects.toMatchObject({ code: 'database_newer' });
  });
});
