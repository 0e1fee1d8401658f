import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { ExchangeRate, ExchangeRateBody, OnPublished, PublishedRates } from '../contracts/exchange-rate.js';
import type { Page, PageRequest } from '../contracts/page.js';
import { lockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { equals, parseDecimal } from '../money/fraction.js';

interface Row extends Omit<ExchangeRate, 'effective_from' | 'published_at'> {
  effective_from: Date;
  published_at: Date;
}

const COLUMNS = `rate_id, from_currency AS "from", to_currency AS "to", rate, effective_from, source, published_by, published_at`;

/**
 * Publishes rates, all or none. They are never changed: a later row for the same instant replaces an earlier one. With
 * `keep` what is published already is left alone: the same rate again does nothing, and another rate for the same pair
 * and instant throws `conflict`. Audited.
 */
export async function publishExchangeRates(
  pool: Pool,
  asked: readonly ExchangeRateBody[],
  actor: string,
  onPublished: OnPublished = 'replace',
): Promise<PublishedRates> {
  return inTransaction(pool, async (client) => {
    // Of two imports of the same file one sees what the other published.
    await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('exchange_rates')]);
    const rates = onPublished === 'replace' ? asked : await withoutKnown(client, asked);
    const unchanged = asked.length - rates.length;
    if (rates.length === 0) return { data: [], unchanged };
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
    return { data: published, unchanged };
  });
}

/** The rates that are not published yet, each pair and instant once. Throws `conflict` where another rate stands there. */
async function withoutKnown(client: Client, rates: readonly ExchangeRateBody[]): Promise<ExchangeRateBody[]> {
  const { rows } = await client.query<Pick<Row, 'from' | 'to' | 'rate' | 'effective_from'>>(
    `SELECT DISTINCT ON (from_currency, to_currency, effective_from)
       from_currency AS "from", to_currency AS "to", rate, effective_from
     FROM exchange_rates JOIN unnest($1::text[], $2::text[], $3::timestamptz[]) AS a(f, t, at)
       ON from_currency = f AND to_currency = t AND effective_from = at
     ORDER BY from_currency, to_currency, effective_from, rate_id DESC`,
    [rates.map(({ from }) => from), rates.map(({ to }) => to), rates.map(({ effective_from }) => effective_from)],
  );
  const known = new Map(rows.map((row) => [keyOf(row), row.rate]));
  return rates.filter((rate, index) => {
    const there = known.get(keyOf(rate));
    known.set(keyOf(rate), there ?? rate.rate);
    if (there !== undefined && !equals(parseDecimal(there), parseDecimal(rate.rate))) {
      const at = new Date(rate.effective_from).toISOString();
      throw new CostplusError(
        'conflict',
        `One ${rate.from} is ${there} ${rate.to} from ${at} on, not ${rate.rate}. Nothing was published.`,
        { field: `rates[${index}].rate` },
      );
    }
    return there === undefined;
  });
}

function keyOf({ from, to, effective_from }: { from: string; to: string; effective_from: Date | string }): string {
  return `${from} ${to} ${new Date(effective_from).getTime()}`;
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
