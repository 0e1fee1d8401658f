import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cloneDatabase } from '../support/database.js';
import { customer, markSealed, publishBasics } from '../support/ledger.js';

describe('a sealed period', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let periodId: number;

  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
    await customer(database.pool, 'acme');
    await customer(database.pool, 'other');
    const { rows } = await database.pool.query<{ period_id: number }>(
      `UPDATE periods SET ends_at = ends_at - interval '1 day' WHERE customer_id = 'acme' RETURNING period_id`,
    );
    periodId = rows[0]!.period_id;
    await markSealed(database.pool, periodId);
  });
  afterAll(() => database?.drop());

  it.each([
    'sealed_at = NULL',
    `sealed_at = sealed_at + interval '1 second'`,
    `start_date = start_date - 1`,
    `starts_at = starts_at + interval '1 hour'`,
    `ends_at = ends_at + interval '1 hour'`,
    `calendar_from = calendar_from - interval '1 hour'`,
    `calendar_to = calendar_to + interval '1 hour'`,
    `customer_id = 'other', start_date = '2020-01-01'`,
  ])('keeps its name, its span and its seal: the database refuses %s', async (change) => {
    await expect(database.pool.query(`UPDATE periods SET ${change} WHERE period_id = $1`, [periodId])).rejects.toThrow(
      'its span does not change',
    );
  });

  it('goes on to its invoice', async () => {
    const { rowCount } = await database.pool.query(
      `UPDATE periods SET status = 'submitting', updated_at = now() WHERE period_id = $1`,
      [periodId],
    );
    expect(rowCount).toBe(1);
  });
});
