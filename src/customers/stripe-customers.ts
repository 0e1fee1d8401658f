import type { Queryable } from '../database/pool.js';

/**
 * The customers with these Stripe customer ids, as the database has them now. Where several customers share one Stripe
 * customer nobody knows whose usage it is, and none of them is in the answer.
 */
export async function customersOfStripe(
  queryable: Queryable,
  stripeCustomerIds: readonly string[],
): Promise<Map<string, string>> {
  const { rows } = await queryable.query<{ stripe_customer_id: string; customer_id: string }>(
    `SELECT stripe_customer_id, min(customer_id) AS customer_id FROM customers
     WHERE stripe_customer_id = ANY($1::text[]) GROUP BY stripe_customer_id HAVING count(*) = 1`,
    [[...new Set(stripeCustomerIds)]],
  );
  return new Map(rows.map((row) => [row.stripe_customer_id, row.customer_id]));
}
