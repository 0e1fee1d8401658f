import { afterEach, beforeEach, expect, test } from 'vitest';
import { readHorizon } from '../../src/ledger/horizon.js';
import { readUnpriced } from '../../src/ledger/relay-reads.js';
import { cloneDatabase } from '../support/database.js';
import { insertInvoice } from '../support/invoice-fixture.js';

let database: Awaited<ReturnType<typeof cloneDatabase>>;
beforeEach(async () => {
  database = await cloneDatabase();
});
afterEach(() => database.drop());

const OVERDUE_SECONDS = 60;

/** A period that a workflow has taken up, with its deadline an hour from now or ago, and its last change. */
async function period(status: string, deadline: 'to come' | 'passed', changedSecondsAgo: number): Promise<number> {
  const { period_id } = await insertInvoice(database.pool, { amounts: [100] });
  await database.pool.query(
    `UPDATE periods SET status = $2, opened_at = now(), seals_at = now() + make_interval(hours => $3),
       updated_at = now() - make_interval(secs => $4) WHERE period_id = $1`,
    [period_id, status, deadline === 'passed' ? -1 : 1, changedSecondsAgo],
  );
  return period_id;
}

async function read() {
  return readUnpriced(database.pool, await readHorizon(database.pool), OVERDUE_SECONDS);
}

test('a period that finance closed early and that makes no progress is overdue long before its deadline', async () => {
  for (const status of ['closing', 'sealed', 'submitting']) {
    const lost = await period(status, 'to come', OVERDUE_SECONDS + 5);
    await period(status, 'to come', 0);
    expect(await read(), status).toEqual([{ period_id: lost, chunk: 0n, overdue: true }]);
    await database.pool.query(`UPDATE periods SET status = 'parked'`);
  }
});

test('a closing period that waits for another one is not overdue: it is told when that one is composed', async () => {
  const waiting = await period('closing', 'passed', OVERDUE_SECONDS + 5);
  await database.pool.query(`UPDATE periods SET waits_for = start_date - 1 WHERE period_id = $1`, [waiting]);
  expect(await read()).toEqual([]);
});

test('an open period is overdue when its deadline has passed, and not before', async () => {
  await period('open', 'to come', OVERDUE_SECONDS + 5);
  const late = await period('open', 'passed', OVERDUE_SECONDS + 5);
  expect(await read()).toEqual([{ period_id: late, chunk: 0n, overdue: true }]);
});

test('who waits for a person, and what is finished, is not overdue', async () => {
  for (const status of ['on_hold', 'parked', 'awaiting_approval', 'invoiced', 'nothing_to_bill']) {
    await period(status, 'passed', OVERDUE_SECONDS + 5);
  }
  expect(await read()).toEqual([]);
});

test('an invoice that awaits approval is overdue when its reminder is: the run that would remind may be lost', async () => {
  const remind = async (secondsAgo: number) => {
    const id = await period('awaiting_approval', 'passed', 0);
    await database.pool.query(
      'UPDATE periods SET approval_remind_at = now() - make_interval(secs => $2) WHERE period_id = $1',
      [id, secondsAgo],
    );
    return id;
  };
  const lost = await remind(OVERDUE_SECONDS + 5);
  await remind(5);
  expect(await read()).toEqual([{ period_id: lost, chunk: 0n, overdue: true }]);
});
