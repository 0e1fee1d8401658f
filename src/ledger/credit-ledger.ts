import type { CreditBalance, CreditEntry } from '../contracts/credit.js';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Queryable } from '../database/pool.js';
import { add, format, parseDecimal, ZERO } from '../money/fraction.js';
import { expectCustomer, listCredits } from './credits.js';

/** A customer's credits as one sum, in its currency. Throws `unknown_customer`. */
export async function readCreditBalance(database: Queryable, customerId: string, now: Date): Promise<CreditBalance> {
  const grants = await listCredits(database, customerId);
  const { rows } = await database.query<{ currency: string }>('SELECT currency FROM customers WHERE customer_id = $1', [
    customerId,
  ]);
  const { currency } = rows[0]!;
  const own = grants.filter((grant) => grant.currency === currency);
  const isOver = ({ expires_at }: { expires_at: string | null }) =>
    expires_at !== null && Date.parse(expires_at) <= now.getTime();
  const open = own.filter((grant) => !isOver(grant));
  const begun = open.filter(({ effective_from }) => Date.parse(effective_from) <= now.getTime());
  const total = (of: typeof own, amount: 'amount' | 'burned' | 'expired' | 'revoked' | 'remaining') =>
    format(of.reduce((sum, grant) => add(sum, parseDecimal(grant[amount])), ZERO));
  const ends = [...new Set(open.flatMap(({ expires_at }) => expires_at ?? []))].sort();
  return {
    customer_id: customerId,
    currency,
    granted: total(own, 'amount'),
    burned: total(own, 'burned'),
    expired: total(own, 'expired'),
    revoked: total(own, 'revoked'),
    remaining: total(own, 'remaining'),
    available: total(begun, 'remaining'),
    available_for: {
      all: total(
        begun.filter(({ applies_to }) => applies_to === 'all'),
        'remaining',
      ),
      usage: total(
        begun.filter(({ applies_to, match }) => applies_to === 'usage' && match === null),
        'remaining',
      ),
      matched_usage: total(
        begun.filter(({ match }) => match !== null),
        'remaining',
      ),
      fees: total(
        begun.filter(({ applies_to }) => applies_to === 'fees'),
        'remaining',
      ),
    },
    expiring: ends
      .map((expires_at) => ({
        expires_at,
        remaining: total(
          open.filter((grant) => grant.expires_at === expires_at),
          'remaining',
        ),
      }))
      .filter(({ remaining }) => remaining !== '0'),
  };
}

interface EntryRow extends Omit<CreditEntry, 'at'> {
  at: Date;
  at_us: string;
  rank: number;
  period_id: string;
}

/** Every movement of a customer's grants: of a period that was billed again, what its newest revision took. */
const ENTRIES = `
  SELECT g.created_at AS at, 0 AS rank, 'granted' AS kind, g.grant_id, g.name, g.amount AS amount, g.currency,
         NULL::date AS start_date, NULL::int AS revision, 0::bigint AS period_id
  FROM credit_grants g WHERE g.customer_id = $1
  UNION ALL
  SELECT e.at, taken.rank, taken.kind, g.grant_id, g.name, '-' || taken.amount, g.currency, p.start_date, e.revision, e.period_id
  FROM credit_grants g JOIN credit_entries e USING (grant_id) JOIN periods p USING (period_id),
    LATERAL (VALUES (1, 'burned', e.burned), (2, 'expired', e.expired)) AS taken(rank, kind, amount)
  WHERE g.customer_id = $1 AND taken.amount ~ '[1-9]'
    AND e.revision = (SELECT max(revision) FROM invoices i WHERE i.period_id = e.period_id)
  UNION ALL
  SELECT r.revoked_at, 3, 'revoked', g.grant_id, g.name, '-' || (g.amount::numeric - (
           SELECT coalesce(sum(e.burned::numeric + e.expired::numeric), 0) FROM credit_entries e
           WHERE e.grant_id = g.grant_id
             AND e.revision = (SELECT max(revision) FROM invoices i WHERE i.period_id = e.period_id)))::text,
         g.currency, NULL::date, NULL::int, 0::bigint
  FROM credit_grants g JOIN credit_revocations r USING (grant_id) WHERE g.customer_id = $1`;

/**
 * What was granted, burned, expired and revoked, the newest first; of one grant or one period where asked. What a grant's
 * entries add up to is what is left of it. Throws `unknown_customer`, and `invalid_request` for a foreign cursor.
 */
export async function readCreditLedger(
  database: Queryable,
  customerId: string,
  asked: { page: PageRequest; grant_id?: number | undefined; start_date?: string | undefined },
): Promise<Page<CreditEntry>> {
  await expectCustomer(database, customerId);
  const { cursor, limit } = asked.page;
  const after = cursor === null ? null : readPlace(cursor, /^\d{1,20}:\d:\d{1,18}:\d{1,18}$/).split(':');
  const { rows } = await database.query<EntryRow>(
    `SELECT * FROM (SELECT *, (extract(epoch FROM at) * 1000000)::bigint AS at_us FROM (${ENTRIES}) AS every) AS entry
     WHERE ($2::bigint IS NULL OR grant_id = $2) AND ($3::date IS NULL OR start_date = $3)
       AND ($4::text IS NULL OR (at_us, rank, grant_id, period_id) < ($4::bigint, $5::int, $6::bigint, $7::bigint))
     ORDER BY at_us DESC, rank DESC, grant_id DESC, period_id DESC LIMIT $8`,
    [
      customerId,
      asked.grant_id ?? null,
      asked.start_date ?? null,
      after?.[0] ?? null,
      after?.[1] ?? null,
      after?.[2] ?? null,
      after?.[3] ?? null,
      limit + 1,
    ],
  );
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    data: page.map(({ at, kind, grant_id, name, amount, currency, start_date, revision }) => ({
      at: at.toISOString(),
      kind,
      grant_id,
      name,
      amount: format(parseDecimal(amount)),
      currency,
      start_date,
      revision,
    })),
    next_cursor: last ? writeCursor(`${last.at_us}:${last.rank}:${last.grant_id}:${last.period_id}`) : null,
  };
}
