import { sha256 } from '../contracts/canonical-json.js';
import type { Queryable } from '../database/pool.js';
import { STRIPE_BURST_COUNT } from '../limits.js';

/** The account whose limit a key shares: a hash, so that the key itself is never stored. */
export function accountOf(secretKey: string): string {
  return sha256(secretKey).toString('hex').slice(0, 32);
}

/**
 * Takes one token of the account's bucket, which all workers share, and returns the milliseconds to wait before it may
 * be spent (0: at once). The balance may go below zero: each caller gets a slot of its own in the order of asking, so
 * nobody has to ask again. A caller that goes away wastes its slot and nothing else.
 */
export async function takeToken(queryable: Queryable, account: string, perSecond: number): Promise<number> {
  const taken = await queryable.query<{ tokens: number }>(
    `INSERT INTO stripe_rate AS bucket (account, tokens, updated_at) VALUES ($1, $3::float8 - 1, clock_timestamp())
     ON CONFLICT (account) DO UPDATE SET
       tokens = least($3::float8, bucket.tokens
                  + greatest(0, extract(epoch FROM clock_timestamp() - bucket.updated_at)) * $2::float8) - 1,
       updated_at = clock_timestamp()
     RETURNING tokens`,
    [account, perSecond, STRIPE_BURST_COUNT],
  );
  const tokens = taken.rows[0]!.tokens;
  return tokens >= 0 ? 0 : Math.ceil((-tokens / perSecond) * 1_000);
}

/** Stripe said 429: nobody on this account calls for `seconds`. Pauses that overlap do not add up. */
export async function pauseAccount(
  queryable: Queryable,
  account: string,
  perSecond: number,
  seconds: number,
): Promise<void> {
  await queryable.query(
    `UPDATE stripe_rate SET tokens = least(tokens, -($2::float8 * $3::float8)), updated_at = clock_timestamp()
     WHERE account = $1`,
    [account, perSecond, seconds],
  );
}
