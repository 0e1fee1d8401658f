import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IDLE_TRANSACTION_SECONDS } from '../../src/limits.js';
import { cloneDatabase } from '../support/database.js';

describe('connections', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database?.drop());

  it('end a transaction that a process hangs in: it would hold back the pricing of every period', async () => {
    const { rows } = await database.pool.query<{ seconds: number }>(
      `SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)::int AS seconds`,
    );
    expect(rows).toEqual([{ seconds: IDLE_TRANSACTION_SECONDS }]);
  });

  it('acknowledge a commit when it is durable, whatever the server says', async () => {
    const { rows } = await database.pool.query('SHOW synchronous_commit');
    expect(rows).toEqual([{ synchronous_commit: 'on' }]);
  });
});
