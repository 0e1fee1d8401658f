import { randomUUID } from 'node:crypto';
import type { OpenCredit } from '../contracts/balances.js';
import type { CreditGrant, CreditGrantBody } from '../contracts/credit.js';
import type { RuleMatch } from '../contracts/plan-rule.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { OPEN_GRANTS_COUNT } from '../limits.js';
import { fromMinor, roundToMinor } from '../money/currency.js';
import { equals, format, parseDecimal } from '../money/fraction.js';
import { lockBilling } from './billing-lock.js';

/** What of a grant's entries counts: of each period the newest revision. `$except` names a period that is left out. */
const ENTRIES = (except: string) => `(
  SELECT coalesce(sum(e.burned::numeric), 0) AS burned, coalesce(sum(e.expired::numeric), 0) AS expired
  FROM credit_entries e
  WHERE e.grant_id = g.grant_id AND (${except}::bigint IS NULL OR e.period_id <> ${except})
    AND e.revision = (SELECT max(revision) FROM invoices i WHERE i.period_id = e.period_id)
)`;

/** SQL: the order in which grants `g` burn. */
const GRANTS_ORDER = `g.priority, g.expires_at NULLS LAST, g.cost_basis::numeric NULLS FIRST, g.match IS NULL,
  g.effective_from, g.grant_id`;

/** A grant as it stands, without what was taken of it. */
type BareGrant = Omit<OpenCredit, 'remaining'> & { revoked: boolean };

/** Of these grants of a customer those that can pay for a period, in the order of burning. */
export async function readGrantsOf(
  database: Queryable,
  period: { customer_id: string; starts_at: Date; ends_at: Date },
  grantIds: number[],
): Promise<BareGrant[]> {
  const { rows } = await database.query<
    Omit<BareGrant, 'expires_at' | 'match'> & { expires_at: Date | null; match: RuleMatch | null }
  >(
    `SELECT g.grant_id, g.name, g.amount, g.priority, g.expires_at, g.applies_to, g.match, g.cost_basis,
            EXISTS (SELECT FROM credit_revocations r WHERE r.grant_id = g.grant_id) AS revoked
     FROM credit_grants g
     WHERE g.customer_id = $1 AND g.grant_id = ANY($2::bigint[]) AND g.effective_from < $4
       AND (g.expires_at IS NULL OR g.expires_at > $3)
     ORDER BY ${GRANTS_ORDER}`,
    [period.customer_id, grantIds, period.starts_at, period.ends_at],
  );
  return rows.map(({ match, expires_at, ...row }) => ({
    ...row,
    ...(match === null ? {} : { match }),
    expires_at: expires_at?.toISOString() ?? null,
  }));
}

/**
 * Grants that can pay for a period, with what other periods left of them, in the order of burning: by priority, then
 * what expires earlier, then what cost the customer less, then what is for less, then the older one. Of a revoked grant
 * a period has what its own revisions took before: billing it again does not take a payment back.
 */
export async function readOpenCredits(
  database: Queryable,
  period: { period_id: number; customer_id: string; currency: string; starts_at: Date; ends_at: Date },
): Promise<OpenCredit[]> {
  const { rows } = await database.query<
    Omit<OpenCredit, 'expires_at' | 'match'> & { expires_at: Date | null; match: RuleMatch | null }
  >(
    `SELECT g.grant_id, g.name, g.amount, rest.remaining::text AS remaining,
            g.priority, g.expires_at, g.applies_to, g.match, g.cost_basis
     FROM credit_grants g LEFT JOIN credit_revocations r USING (grant_id), LATERAL ${ENTRIES('$2')} used, LATERAL (
       SELECT least(g.amount::numeric - used.burned - used.expired, CASE WHEN r.grant_id IS NOT NULL THEN (
         SELECT coalesce(max(e.burned::numeric + e.expired::numeric), 0) FROM credit_entries e
         WHERE e.grant_id = g.grant_id AND e.period_id = $2) END) AS remaining
     ) rest
     WHERE g.customer_id = $1 AND g.currency = $3 AND g.effective_from < $5
       AND (g.expires_at IS NULL OR g.expires_at > $4) AND rest.remaining > 0
     ORDER BY ${GRANTS_ORDER}
     LIMIT $6`,
    [period.customer_id, period.period_id, period.currency, period.starts_at, period.ends_at, OPEN_GRANTS_COUNT],
  );
  return rows.map(({ match, ...row }) => ({
    ...row,
    ...(match === null ? {} : { match }),
    remaining: format(parseDecimal(row.remaining)),
    expires_at: row.expires_at?.toISOString() ?? null,
  }));
}

/**
 * Grants prepaid credits in the customer's currency; the same request id answers the grant that it made. Throws
 * `unknown_customer`, `invalid_request` for an amount that cannot be billed, `conflict` for a request id of another grant
 * or too many open grants. Audited.
 */
export async function grantCredits(
  pool: Pool,
  customerId: string,
  body: CreditGrantBody,
  actor: string,
): Promise<CreditGrant> {
  return inTransaction(pool, async (client) => {
    await lockBilling(client, customerId);
    const { rows } = await client.query<{ currency: string; open: number }>(
      `SELECT c.currency, (SELECT count(*) FROM credit_grants g WHERE g.customer_id = c.customer_id
         AND (g.expires_at IS NULL OR g.expires_at > now())
         AND NOT EXISTS (SELECT FROM credit_revocations r WHERE r.grant_id = g.grant_id)) AS open
       FROM customers c WHERE c.customer_id = $1`,
      [customerId],
    );
    if (!rows[0]) throw new CostplusError('unknown_customer', 'There is no such customer.');
    const { currency, open } = rows[0];
    const requestId = body.request_id ?? randomUUID();
    const match = body.match === undefined ? null : JSON.stringify(body.match);
    const known = await client.query<{ grant_id: number; same: boolean }>(
      `SELECT grant_id, customer_id = $2 AND amount = $3 AND name = $4 AND match IS NOT DISTINCT FROM $5::jsonb AS same
       FROM credit_grants WHERE request_id = $1`,
      [requestId, customerId, body.amount, body.name, match],
    );
    if (known.rows[0]) {
      if (!known.rows[0].same) {
        throw new CostplusError('conflict', 'This request id made another grant; send a new one.', {
          field: 'request_id',
        });
      }
      return readGrant(client, known.rows[0].grant_id);
    }
    expectBillable(body.amount, currency);
    if (open >= OPEN_GRANTS_COUNT) {
      throw new CostplusError('conflict', `A customer has at most ${OPEN_GRANTS_COUNT} open grants.`);
    }
    const from = body.effective_from ?? new Date().toISOString();
    if (body.expires_at !== undefined && Date.parse(body.expires_at) <= Date.parse(from)) {
      throw new CostplusError('invalid_request', 'Credits expire after they begin.', { field: 'expires_at' });
    }
    const made = await client.query<{ grant_id: number }>(
      `INSERT INTO credit_grants (customer_id, request_id, name, amount, currency, priority, cost_basis, applies_to,
         effective_from, expires_at, created_by, match)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING grant_id`,
      [
        customerId,
        requestId,
        body.name,
        body.amount,
        currency,
        body.priority,
        body.cost_basis ?? null,
        body.applies_to ?? (match === null ? 'all' : 'usage'),
        from,
        body.expires_at ?? null,
        actor,
        match,
      ],
    );
    const grant = await readGrant(client, made.rows[0]!.grant_id);
    await client.query(
      'INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, $2, $3, $4, $5)',
      [actor, 'credits.grant', customerId, customerId, JSON.stringify(grant)],
    );
    return grant;
  });
}

/** All grants of a customer, the newest first, with what invoices took of them. Throws `unknown_customer`. */
export async function listCredits(database: Queryable, customerId: string): Promise<CreditGrant[]> {
  await expectCustomer(database, customerId);
  const { rows } = await database.query<GrantRow>(
    `${SELECT_GRANTS} WHERE g.customer_id = $2 ORDER BY g.grant_id DESC`,
    [null, customerId],
  );
  return rows.map(toGrant);
}

/** Refuses a customer that is not there. Throws `unknown_customer`. */
export async function expectCustomer(database: Queryable, customerId: string): Promise<void> {
  const { rowCount } = await database.query('SELECT FROM customers WHERE customer_id = $1', [customerId]);
  if (rowCount === 0) throw new CostplusError('unknown_customer', 'There is no such customer.');
}

/** Refuses an amount that has no whole number of billable units of the currency. Throws `invalid_request`. */
export function expectBillable(amount: string, currency: string): void {
  const exact = parseDecimal(amount);
  if (equals(fromMinor(roundToMinor(exact, currency), currency), exact)) return;
  throw new CostplusError('invalid_request', `Not an amount that can be billed in ${currency}.`, { field: 'amount' });
}

/**
 * Takes back what is left of a grant: from here on it pays for nothing more. What invoices took of it stays, and what a
 * seal took over before its invoice is composed. Revoking twice does nothing. Throws `not_found` for a grant of nobody
 * or of another customer, `conflict` where nothing is left. Audited.
 */
export async function revokeCredits(
  pool: Pool,
  customerId: string,
  grantId: number,
  { reason, actor }: { reason: string; actor: string },
): Promise<CreditGrant> {
  return inTransaction(pool, async (client) => {
    await lockBilling(client, customerId);
    const { rowCount } = await client.query('SELECT FROM credit_grants WHERE grant_id = $1 AND customer_id = $2', [
      grantId,
      customerId,
    ]);
    if (rowCount === 0) throw new CostplusError('not_found', 'The customer has no such grant of credits.');
    const { remaining, revocation } = await readGrant(client, grantId);
    if (revocation !== null) return readGrant(client, grantId);
    if (!/[1-9]/.test(remaining)) throw new CostplusError('conflict', 'Nothing is left of this grant.');
    await client.query('INSERT INTO credit_revocations (grant_id, reason, revoked_by) VALUES ($1, $2, $3)', [
      grantId,
      reason,
      actor,
    ]);
    const grant = await readGrant(client, grantId);
    await client.query(
      'INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, $2, $3, $4, $5)',
      [actor, 'credits.revoke', customerId, customerId, JSON.stringify(grant)],
    );
    return grant;
  });
}

type GrantRow = Omit<CreditGrant, 'effective_from' | 'expires_at' | 'created_at' | 'revocation'> & {
  effective_from: Date;
  expires_at: Date | null;
  created_at: Date;
  revoked_at: Date | null;
  revoked_by: string;
  revoked_because: string;
};

const SELECT_GRANTS = `SELECT g.grant_id, g.name, g.amount, g.currency, g.priority, g.cost_basis, g.applies_to, g.match,
    g.effective_from, g.expires_at, used.burned::text, used.expired::text,
    CASE WHEN r.grant_id IS NULL THEN '0' ELSE rest.amount::text END AS revoked,
    CASE WHEN r.grant_id IS NULL THEN rest.amount::text ELSE '0' END AS remaining,
    r.revoked_at, r.revoked_by, r.reason AS revoked_because, g.created_by, g.created_at
  FROM credit_grants g LEFT JOIN credit_revocations r USING (grant_id), LATERAL ${ENTRIES('$1')} used,
    LATERAL (SELECT g.amount::numeric - used.burned - used.expired AS amount) rest`;

async function readGrant(database: Queryable, grantId: number): Promise<CreditGrant> {
  const { rows } = await database.query<GrantRow>(`${SELECT_GRANTS} WHERE g.grant_id = $2`, [null, grantId]);
  return toGrant(rows[0]!);
}

function toGrant({ revoked_at, revoked_by, revoked_because, ...row }: GrantRow): CreditGrant {
  const decimal = (text: string) => format(parseDecimal(text));
  return {
    ...row,
    burned: decimal(row.burned),
    expired: decimal(row.expired),
    revoked: decimal(row.revoked),
    remaining: decimal(row.remaining),
    revocation: revoked_at === null ? null : { at: revoked_at.toISOString(), by: revoked_by, reason: revoked_because },
    effective_from: row.effective_from.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}
