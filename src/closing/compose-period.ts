import type { ClosingBalances, UsageCounts } from '../contracts/balances.js';
import type { PeriodRef, PeriodState } from '../contracts/engine.js';
import { type Client, inTransaction } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import type { ComposedInvoice } from '../invoicing/compose.js';
import type { LateLine } from '../invoicing/compose-late.js';
import { leftBeside } from '../invoicing/compose-rollover.js';
import { composeSeal } from '../invoicing/compose-seal.js';
import { deriveLateLines } from '../invoicing/late-lines.js';
import { sumOfLate } from '../invoicing/late-so-far.js';
import { forgetActions } from '../ledger/action-counts.js';
import { lockBilling } from '../ledger/billing-lock.js';
import { countUsage } from '../ledger/count-usage.js';
import { derivePricingInSlices } from '../ledger/derive-pricing.js';
import { noteRollover, readRollover } from '../ledger/handed-on.js';
import { SEALED_MARK, writeLateTotals } from '../ledger/late-totals.js';
import { noteOpenings } from '../ledger/opening-changes.js';
import { type PriceDeps, pricePeriod } from '../ledger/price-period.js';
import { readResult, replaceRuns } from '../ledger/pricing-runs.js';
import { readSeal, type Seal, setOf } from '../ledger/seal.js';
import { sealedTotalsTerms } from '../ledger/totals-terms.js';
import { addTimeline } from '../periods/period-store.js';
import { endWaiting } from '../periods/period-waits.js';
import { allowancesOf } from '../plans/plan-parts.js';
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
  const counts = await countUsage(deps, seal.inputs, setOf(seal));
  const pricing = await priceSeal(deps, seal, counts);
  const late = await deriveLateLines(deps, seal);
  const composed = composeSeal(seal, pricing, late, counts);
  await inTransaction(deps.pool, async (client) => {
    // What a seal of another period finds of this one's balances, and of itself as waiting, is before this or after it.
    await lockBilling(client, ref.customer_id);
    const now = await readPeriodRow(client, ref, true);
    await storeInvoice(client, seal, composed, late);
    await endWaiting(client, ref);
    await writeLateTotals(client, seal.period_id, SEALED_MARK, {
      ...sumOfLate(late),
      currency: composed.content.currency,
      catalog_version: seal.catalog_version,
    });
    await forgetActions(client, seal.period_id);
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
async function priceSeal(deps: PriceDeps, seal: Seal, { actions }: UsageCounts): Promise<PricingResult> {
  const { period_id, revision, inputs_hash, sealed_xid, catalog_version } = seal;
  if (revision === 1) {
    await pricePeriod(deps, period_id);
    return readResult(deps.pool, period_id, inputs_hash);
  }
  const result = await derivePricingInSlices(deps, seal);
  const run = { period_id, revision, inputs_hash, from_xid: 0n, to_xid: sealed_xid, catalog_version, result };
  await replaceRuns(deps.pool, run, sealedTotalsTerms(seal.inputs), actions);
  return result;
}

async function storeInvoice(client: Client, seal: Seal, composed: ComposedInvoice, late: LateLine[]): Promise<void> {
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
  await storeRollover(client, seal, composed.content.balances.closing, late);
  const { customer, period } = seal.inputs;
  // What a re-bill leaves free of prepaid credits earlier periods can have too.
  const freesCredits = seal.revision > 1 && composed.content.balances.closing.credits.length > 0;
  await noteOpenings(client, customer.customer_id, freesCredits ? null : period.start);
}

/** What is left of the period's own allowances now, and of those whose late usage it carries. */
async function storeRollover(client: Client, seal: Seal, closing: ClosingBalances, late: LateLine[]): Promise<void> {
  for (const { left } of late) {
    if (left === undefined) continue;
    const { period_id, rollover, taken } = left;
    const known = (await readRollover(client, period_id)) ?? [];
    await noteRollover(client, seal, { period_id, rollover: leftBeside(known, rollover), taken });
  }
  const { period_id, inputs } = seal;
  if (inputs.plans.every((plan) => allowancesOf(plan).length === 0)) return;
  await noteRollover(client, seal, { period_id, rollover: closing.rollover, taken: [] });
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
