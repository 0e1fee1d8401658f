import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { ExchangeRate, ExchangeRateBody } from '../contracts/exchange-rate.js';
import type { Page, PageRequest } from '../contracts/page.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';

interface Row extends Omit<ExchangeRate, 'effective_from' | 'published_at'> {
  effective_from: Date;
  published_at: Date;
}

const COLUMNS = `rate_id, from_currency AS "from", to_currency AS "to", rate, effective_from, source, published_by, published_at`;

/** Publishes rates, all or none. They are never changed: a later row for the same instant replaces an earlier one. */
export async function publishExchangeRates(
  pool: Pool,
  rates: readonly ExchangeRateBody[],
  actor: string,
): Promise<ExchangeRate[]> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<Row>(
      `INSERT INTO exchange_rates (from_currency, to_currency, rate, effective_from, source, published_by)
       SELECT f, t, rate, effective_from, source, $6
       FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
         WITH ORDINALITY AS r(f, t, rate, effective_from, source, n) ORDER BY n
       RETURNING ${COLUMNS}`,
      [
        rates.map(({ from }) => from),
        rates.map(({ to }) => to),
        rates.map(({ rate }) => rate),
        rates.map(({ effective_from }) => effective_from),
        rates.map(({ source }) => source),
        actor,
      ],
    );
    const published = rows.map(toRate);
    await client.query('INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)', [
      actor,
      'exchange_rates.publish',
      'exchange_rates',
      JSON.stringify({ rates: published.map(({ rate_id, from, to, rate }) => ({ rate_id, from, to, rate })) }),
    ]);
    return published;
  });
}

/** Rates, the newest published first. Throws `invalid_request` for a foreign cursor. */
export async function listExchangeRates(
  database: Queryable,
  page: PageRequest,
  currencies: { from?: string | undefined; to?: string | undefined },
): Promise<Page<ExchangeRate>> {
  const { rows } = await database.query<Row>(
    `SELECT ${COLUMNS} FROM exchange_rates
     WHERE ($1::bigint IS NULL OR rate_id < $1) AND ($3::text IS NULL OR from_currency = $3)
       AND ($4::text IS NULL OR to_currency = $4)
     ORDER BY rate_id DESC LIMIT $2`,
    [readCursor(page.cursor), page.limit + 1, currencies.from ?? null, currencies.to ?? null],
  );
  const data = rows.slice(0, page.limit).map(toRate);
  const last = rows.length > page.limit ? data.at(-1) : undefined;
  return { data, next_cursor: last ? writeCursor(`r${last.rate_id}`) : null };
}

/** The rates into a currency that are in force at an instant, by the currency they are from; its own is "1". */
export async function readExchangeRates(database: Queryable, to: string, at: Date): Promise<Record<string, string>> {
  const { rows } = await database.query<{ from_currency: string; rate: string }>(
    `SELECT DISTINCT ON (from_currency) from_currency, rate FROM exchange_rates
     WHERE to_currency = $1 AND effective_from <= $2
     ORDER BY from_currency, effective_from DESC, rate_id DESC`,
    [to, at],
  );
  return Object.fromEntries([...rows.map(({ from_currency, rate }) => [from_currency, rate]), [to, '1']]);
}

function toRate(row: Row): ExchangeRate {
  return { ...row, effective_from: row.effective_from.toISOString(), published_at: row.published_at.toISOString() };
}

function readCursor(cursor: string | null): number | null {
  if (cursor === null) return null;
  return Number(readPlace(cursor, /^r\d{1,15}$/).slice(1));
}
