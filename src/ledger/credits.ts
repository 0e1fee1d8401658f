import { randomUUID } from 'node:crypto';
import type { CreditGrant, CreditGrantBody } from '../contracts/adjustment.js';
import type { OpenCredit } from '../contracts/balances.js';
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

/**
 * Grants that can pay for a period, with what other periods left of them, in the order of burning: by priority, then
 * what expires earlier, then what cost the customer less, then the older one.
 */
export async function readOpenCredits(
  database: Queryable,
  period: { period_id: number; customer_id: string; currency: string; starts_at: Date; ends_at: Date },
): Promise<OpenCredit[]> {
  const { rows } = await database.query<Omit<OpenCredit, 'expires_at'> & { expires_at: Date | null }>(
    `SELECT g.grant_id, g.name, g.amount, (g.amount::numeric - used.burned - used.expired)::text AS remaining,
            g.priority, g.expires_at, g.applies_to, g.cost_basis
     FROM credit_grants g, LATERAL ${ENTRIES('$2')} used
     WHERE g.customer_id = $1 AND g.currency = $3 AND g.effective_from < $5
       AND (g.expires_at IS NULL OR g.expires_at > $4) AND g.amount::numeric > used.burned + used.expired
     ORDER BY g.priority, g.expires_at NULLS LAST, g.cost_basis::numeric NULLS FIRST, g.effective_from, g.grant_id
     LIMIT $6`,
    [period.customer_id, period.period_id, period.currency, period.starts_at, period.ends_at, OPEN_GRANTS_COUNT],
  );
  return rows.map((row) => ({
    ...row,
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
         AND (g.expires_at IS NULL OR g.expires_at > now())) AS open FROM customers c WHERE c.customer_id = $1`,
      [customerId],
    );
    if (!rows[0]) throw new CostplusError('unknown_customer', 'There is no such customer.');
    const { currency, open } = rows[0];
    const requestId = body.request_id ?? randomUUID();
    const known = await client.query<{ grant_id: number; same: boolean }>(
      `SELECT grant_id, customer_id = $2 AND amount = $3 AND name = $4 AS same FROM credit_grants WHERE request_id = $1`,
      [requestId, customerId, body.amount, body.name],
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
         effective_from, expires_at, created_by)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING grant_id`,
      [
        customerId,
        requestId,
        body.name,
        body.amount,
        currency,
        body.priority,
        body.cost_basis ?? null,
        body.applies_to,
        from,
        body.expires_at ?? null,
        actor,
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
  const { rowCount } = await database.query('SELECT FROM customers WHERE customer_id = $1', [customerId]);
  if (rowCount === 0) throw new CostplusError('unknown_customer', 'There is no such customer.');
  const { rows } = await database.query<GrantRow>(
    `${SELECT_GRANTS} WHERE g.customer_id = $2 ORDER BY g.grant_id DESC`,
    [null, customerId],
  );
  return rows.map(toGrant);
}

/** Refuses an amount that has no whole number of billable units of the currency. Throws `invalid_request`. */
export function expectBillable(amount: string, currency: string): void {
  const exact = parseDecimal(amount);
  if (equals(fromMinor(roundToMinor(exact, currency), currency), exact)) return;
  throw new CostplusError('invalid_request', `Not an amount that can be billed in ${currency}.`, { field: 'amount' });
}

type GrantRow = Omit<CreditGrant, 'effective_from' | 'expires_at' | 'created_at'> & {
  effective_from: Date;
  expires_at: Date | null;
  created_at: Date;
};

const SELECT_GRANTS = `SELECT g.grant_id, g.name, g.amount, g.currency, g.priority, g.cost_basis, g.applies_to,
    g.effective_from, g.expires_at, used.burned::text, used.expired::text,
    (g.amount::numeric - used.burned - used.expired)::text AS remaining, g.created_by, g.created_at
  FROM credit_grants g, LATERAL ${ENTRIES('$1')} used`;

async function readGrant(database: Queryable, grantId: number): Promise<CreditGrant> {
  const { rows } = await database.query<GrantRow>(`${SELECT_GRANTS} WHERE g.grant_id = $2`, [null, grantId]);
  return toGrant(rows[0]!);
}

function toGrant(row: GrantRow): CreditGrant {
  const decimal = (text: string) => format(parseDecimal(text));
  return {
    ...row,
    burned: decimal(row.burned),
    expired: decimal(row.expired),
    remaining: decimal(row.remaining),
    effective_from: row.effective_from.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}
