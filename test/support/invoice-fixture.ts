import { NO_OPENING } from '../../src/contracts/balances.js';
import { sha256 } from '../../src/contracts/canonical-json.js';
import type { InvoiceLine } from '../../src/contracts/invoice.js';
import type { StripeReference } from '../../src/contracts/plan-rule.js';
import type { Pool } from '../../src/database/pool.js';
import { formatMinor } from '../../src/money/currency.js';

export interface InvoiceFixture {
  customer_id: string;
  period_id: number;
  revision: number;
  content_hash: string;
  subtotal_minor: number;
}

let customers = 0;

/**
 * A sealed period in November 2026 with an issued revision of these lines (minor units), and all rows that they refer
 * to. Each call makes a customer of its own unless one is named; a further revision of a period may be named too.
 */
export async function insertInvoice(
  pool: Pool,
  options: {
    amounts: number[];
    currency?: string;
    customerId?: string;
    stripeCustomerId?: string;
    startDate?: string;
    endDate?: string;
    revision?: number;
    /** Product or tax code of each line. */
    references?: (StripeReference | null)[];
    /** Lines as they are composed; their amounts are `amounts`. */
    lines?: Partial<InvoiceLine>[];
  },
): Promise<InvoiceFixture> {
  const currency = options.currency ?? 'usd';
  const customerId = options.customerId ?? `customer-${++customers}`;
  const startDate = options.startDate ?? '2026-11-01';
  const endDate = options.endDate ?? '2026-12-01';
  const revision = options.revision ?? 1;
  const subtotal = options.amounts.reduce((sum, amount) => sum + amount, 0);
  const lines = options.amounts.map((amount, index) => ({
    line_number: index + 1,
    description: options.lines?.[index]?.description ?? `Usage of model ${index + 1}`,
    amount_minor: amount,
    stripe: options.lines?.[index]?.stripe ?? options.references?.[index] ?? null,
  }));
  const composed = lines.map(({ description, amount_minor, stripe }, index) => ({
    kind: 'usage',
    group: { model_id: `model ${index + 1}` },
    plan: null,
    rule: null,
    quantity: null,
    unit: null,
    ...options.lines?.[index],
    description,
    amount: formatMinor(BigInt(amount_minor), currency),
    ...(stripe === null ? {} : { stripe }),
  }));
  const balances = { opening: NO_OPENING, closing: { ...NO_OPENING } };
  const content = JSON.stringify({ customerId, startDate, revision, currency, lines: composed, balances });
  const hash = sha256(content).toString('hex');
  await pool.query(
    `INSERT INTO catalog_versions (version, note, source, published_by, content_hash)
     VALUES (1, 'fixture', 'test', 'test', 'fixture') ON CONFLICT DO NOTHING`,
  );
  await pool.query(
    `INSERT INTO customers (customer_id, name, currency, stripe_customer_id) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING`,
    [customerId, `Name of ${customerId}`, currency, options.stripeCustomerId ?? null],
  );
  await pool.query(
    `INSERT INTO periods (customer_id, start_date, starts_at, ends_at, calendar_from, calendar_to, seals_at, status)
     VALUES ($1, $2::date, $2::date, $3::date, $2::date, $3::date, $3::date, 'submitting') ON CONFLICT DO NOTHING`,
    [customerId, startDate, endDate],
  );
  const period = await pool.query<{ period_id: number }>(
    'SELECT period_id FROM periods WHERE customer_id = $1 AND start_date = $2',
    [customerId, startDate],
  );
  const { period_id } = period.rows[0]!;
  await pool.query(
    `INSERT INTO seals (period_id, revision, sealed_xid, catalog_version, inputs_hash, inputs, composer_version, reason)
     VALUES ($1, $2, pg_current_xact_id(), 1, 'fixture', '{}', 1, 'test')`,
    [period_id, revision],
  );
  await pool.query(
    `INSERT INTO invoices (period_id, revision, currency, content, content_hash, subtotal_minor)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [period_id, revision, currency, content, hash, subtotal],
  );
  await pool.query(
    `INSERT INTO invoice_lines (period_id, revision, line_number, kind, description, line_group, cost, charge, amount_minor, stripe)
     SELECT $1, $2, line_number, 'usage', description, '{}', '0', charge, amount_minor, nullif(stripe, 'null')
     FROM json_to_recordset($3::json)
       AS l(line_number int, description text, charge text, amount_minor bigint, stripe jsonb)`,
    [
      period_id,
      revision,
      JSON.stringify(lines.map((line) => ({ ...line, charge: formatMinor(BigInt(line.amount_minor), currency) }))),
    ],
  );
  return { customer_id: customerId, period_id, revision, content_hash: hash, subtotal_minor: subtotal };
}
