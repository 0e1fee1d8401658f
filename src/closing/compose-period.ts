import type { ClosingBalances } from '../contracts/balances.js';
import type { PeriodRef, PeriodState } from '../contracts/engine.js';
import { type Client, inTransaction } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import type { ComposedInvoice } from '../invoicing/compose.js';
import { composeSeal } from '../invoicing/compose-seal.js';
import { deriveLateLines } from '../invoicing/late-lines.js';
import { countUsage } from '../ledger/count-usage.js';
import { derivePricing } from '../ledger/derive-pricing.js';
import { type PriceDeps, pricePeriod } from '../ledger/price-period.js';
import { readResult, replaceRuns } from '../ledger/pricing-runs.js';
import { readSeal, type Seal, setOf } from '../ledger/seal.js';
import { addTimeline } from '../periods/period-store.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import { sendOn } from './approval.js';
import { readPeriodRow, readPeriodState } from './period-state.js';

/**
 * Prices what the seal left unpriced, composes the invoice of the newest seal and stores it. Composing twice gives the
 * same bytes; other bytes under the same revision throw. Then the revision goes on (src/closing/approval.ts). Returns the state
 * that stands now.
 */
export async function composePeriod(deps: PriceDeps, ref: PeriodRef): Promise<PeriodState> {
  const period = await readPeriodRow(deps.pool, ref);
  if (period.status !== 'sealed') return readPeriodState(deps.pool, ref);
  const seal = (await readSeal(deps.pool, period.period_id))!;
  const pricing = await priceSeal(deps, seal);
  const counts = await countUsage(deps, seal.inputs, setOf(seal));
  const composed = composeSeal(seal, pricing, await deriveLateLines(deps, seal), counts);
  await inTransaction(deps.pool, async (client) => {
    const now = await readPeriodRow(client, ref, true);
    await storeInvoice(client, seal, composed);
    if (now.status !== 'sealed') return;
    const { total, currency } = composed.content;
    const detail = { revision: seal.revision, content_hash: composed.content_hash, total, currency };
    await addTimeline(client, seal.period_id, 'composed', detail);
    await sendOn(client, {
      ...seal,
      customer_id: seal.inputs.customer.customer_id,
      currency: composed.content.currency,
      total: composed.subtotal_minor,
      plan: seal.inputs.plans.at(-1)!,
    });
  });
  return readPeriodState(deps.pool, ref);
}

/** The first revision is summed as usage comes; a later one is derived from the ledger as its seal names it. */
async function priceSeal(deps: PriceDeps, seal: Seal): Promise<PricingResult> {
  const { period_id, revision, inputs_hash, sealed_xid, catalog_version } = seal;
  if (revision === 1) {
    await pricePeriod(deps, period_id);
    return readResult(deps.pool, period_id, inputs_hash);
  }
  const result = await derivePricing(deps, seal);
  const run = { period_id, revision, inputs_hash, from_xid: 0n, to_xid: sealed_xid, catalog_version, result };
  await replaceRuns(deps.pool, run, { inputs: seal.inputs.pricing, plans: seal.inputs.plans });
  return result;
}

async function storeInvoice(client: Client, seal: Seal, composed: ComposedInvoice): Promise<void> {
  const inserted = await client.query(
    `INSERT INTO invoices (period_id, revision, currency, content, content_hash, subtotal_minor)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
    [
      seal.period_id,
      seal.revision,
      composed.content.currency,
      composed.text,
      composed.content_hash,
      composed.subtotal_minor.toString(),
    ],
  );
  if (inserted.rowCount === 0) {
    const { rows } = await client.query<{ content_hash: string }>(
      'SELECT content_hash FROM invoices WHERE period_id = $1 AND revision = $2',
      [seal.period_id, seal.revision],
    );
    if (rows[0]?.content_hash === composed.content_hash) return;
    throw new CostplusError(
      'conflict',
      `Revision ${seal.revision} was composed as ${rows[0]?.content_hash} and now as ${composed.content_hash}.`,
    );
  }
  const lines = composed.content.lines;
  await client.query(
    `INSERT INTO invoice_lines (period_id, revision, line_number, kind, description, line_group, quantity, cost, charge, amount_minor, stripe)
     SELECT $1, $2, n, kind, description, line_group::jsonb, quantity, cost, charge, amount, stripe::jsonb
     FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[])
       WITH ORDINALITY AS line(kind, description, line_group, quantity, cost, charge, amount, stripe, n)`,
    [
      seal.period_id,
      seal.revision,
      lines.map((line) => line.kind),
      lines.map((line) => line.description),
      lines.map((line) => JSON.stringify(line.group)),
      lines.map((line) => line.quantity),
      lines.map((line) => line.cost),
      lines.map((line) => line.charge),
      composed.line_amounts_minor.map((amount) => amount.toString()),
      lines.map((line) => (line.stripe === undefined ? null : JSON.stringify(line.stripe))),
    ],
  );
  await storeBalances(client, seal, composed.content.balances.closing);
}

/** What the revision leaves to the next period, and what it took of prepaid credits. */
async function storeBalances(client: Client, seal: Seal, closing: ClosingBalances): Promise<void> {
  await client.query('INSERT INTO period_balances (period_id, revision, closing) VALUES ($1, $2, $3)', [
    seal.period_id,
    seal.revision,
    JSON.stringify(closing),
  ]);
  const taken = closing.credits.filter(({ burned, expired }) => /[1-9]/.test(burned + expired));
  await client.query(
    `INSERT INTO credit_entries (grant_id, period_id, revision, burned, expired)
     SELECT grant_id, $1, $2, burned, expired
     FROM unnest($3::bigint[], $4::text[], $5::text[]) AS taken(grant_id, burned, expired)`,
    [
      seal.period_id,
      seal.revision,
      taken.map(({ grant_id }) => grant_id),
      taken.map(({ burned }) => burned),
      taken.map(({ expired }) => expired),
    ],
  );
}
