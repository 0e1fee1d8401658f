import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import type { Pool, Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { readUnplacedDecision } from '../ledger/held-decisions.js';
import { UNPLACED_REASON_SQL } from '../ledger/held-usage.js';
import { readPricingInputs } from '../ledger/pricing-inputs.js';
import { readSeal } from '../ledger/seal.js';
import { type StoredUsageRow, toUsageRow, USAGE_ROW_COLUMNS } from '../ledger/usage-reader.js';
import type { Period } from '../periods/period.js';
import { readPeriod } from '../periods/period-store.js';
import { DECISION_PREFIX } from '../pricing/pricing-result.js';
import { unpricedTierOf } from '../pricing/unpriced-tier.js';
import { type ChargedEvent, chargeEvent } from './charge-event.js';
import { type EventCharge, withTotals } from './event-charges.js';
import { readInvoice } from './invoice-view.js';
import { lineOfUsage } from './line-of-usage.js';

type Row = StoredUsageRow & {
  customer_id: string;
  payload_hash: Buffer;
  period_id: number | null;
  late: boolean;
  received_at: Date;
  action_id: string | null;
  payload: string | null;
  signature: string | null;
  info: Record<string, number> | null;
  /** Why usage without a period has none. */
  unplaced_reason: string;
  billed_in: string | null;
  voided_at: Date | null;
  voided_by: string | null;
  void_reason: string | null;
};

/** The whole way of one event: what came, what it was read as, what priced and charged it, where it is billed. */
export interface UsageTrail {
  /** As received, without its signature. */
  event: unknown;
  /** `late`: arrived, or was resolved, after its period's seal. `written_off`: it waited, and a person decided so. */
  status: 'accepted' | 'held' | 'late' | 'written_off';
  held_reason: string | null;
  /** What the door that it came through left out or made up. */
  marks: readonly string[];
  paid_by: 'us' | 'customer';
  /** What the provider or gateway says it cost. */
  reported_cost: { amount: string; currency: string } | null;
  /** The decision about held usage that counts for it. */
  decision: number | null;
  received: { at: string; source: string | null; payload_hash: string; signature: string | null };
  normalised: {
    occurred_at: string;
    usage: Record<string, number | string> | null;
    info: Record<string, number> | null;
  };
  period: { start: string; end: string; start_date: string; status: string } | null;
  price: {
    catalog_version: number;
    provider: string;
    priced_as: string;
    how: string;
    /** The event's service tier where the catalog has no price for it: base prices stand in, for review. */
    unpriced_tier: string | null;
    rows: ChargedEvent['rows'];
  } | null;
  /** Exact decimal strings in the catalog's currency. */
  cost: string | null;
  rule: ChargedEvent['rules'] | null;
  /** Exact, in `charge_currency`; null where a rule charges on the total of the period: `charges` says how. */
  charge: string | null;
  charge_currency: string | null;
  /** How the charge of each of its meters comes about, and what a price for a total came to on the invoice. */
  charges: EventCharge[] | null;
  /** The period that bills it, once a seal has: for late usage perhaps another one than it happened in. */
  billed_in: { start_date: string } | null;
  /** It was taken back. */
  voided: { at: string; by: string; reason: string } | null;
  line: { number: number; description: string; amount: string } | null;
  invoice: { revision: number; content_hash: string; stripe_invoice_id: string | null } | null;
}

/** The trail of one event, derived again from what is stored. Throws `unknown_event`. */
export async function readUsageTrail(
  deps: { pool: Pool; catalogs: CatalogCache },
  customerId: string,
  eventId: string,
): Promise<UsageTrail> {
  const { pool } = deps;
  const { rows } = await pool.query<Row>(
    `SELECT ${USAGE_ROW_COLUMNS.split(',')
      .map((column) => `e.${column.trim()}`)
      .join(', ')},
            e.customer_id, e.payload_hash, e.period_id, e.late, e.received_at, e.action_id, d.payload, d.signature, d.info,
            ${UNPLACED_REASON_SQL} AS unplaced_reason,
            q.start_date AS billed_in, v.voided_at, v.voided_by, v.reason AS void_reason
     FROM usage_events e LEFT JOIN usage_payloads d USING (customer_id, event_id, received_at)
     LEFT JOIN late_billings b USING (customer_id, event_id) LEFT JOIN usage_voids v USING (customer_id, event_id)
     LEFT JOIN periods q ON q.period_id = b.billed_in LEFT JOIN customers c ON c.customer_id = e.customer_id
     WHERE e.customer_id = $1 AND e.event_id = $2`,
    [customerId, eventId],
  );
  const stored = rows[0];
  if (!stored) throw new CostplusError('unknown_event', `Customer ${customerId} has no usage event ${eventId}.`);
  const trail: UsageTrail = {
    event: stored.payload === null ? null : JSON.parse(stored.payload),
    status: stored.late ? 'late' : 'accepted',
    held_reason: null,
    marks: stored.marks ?? [],
    paid_by: stored.paid_by ?? 'us',
    reported_cost: toUsageRow(stored).reported_cost,
    decision: null,
    received: {
      at: stored.received_at.toISOString(),
      source: stored.source_id,
      payload_hash: stored.payload_hash.toString('hex'),
      signature: stored.signature,
    },
    normalised: { occurred_at: stored.occurred_at.toISOString(), usage: stored.usage, info: stored.info },
    period: null,
    price: null,
    cost: null,
    rule: null,
    charge: null,
    charge_currency: null,
    charges: null,
    billed_in: stored.billed_in === null ? null : { start_date: stored.billed_in },
    voided:
      stored.voided_at === null
        ? null
        : { at: stored.voided_at.toISOString(), by: stored.voided_by!, reason: stored.void_reason! },
    line: null,
    invoice: null,
  };
  if (stored.period_id === null) {
    const decision = await readUnplacedDecision(pool, customerId, eventId);
    if (decision !== null) return { ...trail, status: 'written_off', decision };
    return { ...trail, status: 'held', held_reason: stored.unplaced_reason };
  }
  const period = await readPeriod(pool, stored.period_id);
  const [start, end] = [period.starts_at.toISOString(), period.ends_at.toISOString()];
  trail.period = { start, end, start_date: period.start_date, status: period.status };
  return price(deps, trail, stored, period);
}

async function price(
  deps: { pool: Pool; catalogs: CatalogCache },
  trail: UsageTrail,
  stored: Row,
  period: Period,
): Promise<UsageTrail> {
  const seal = await readSeal(deps.pool, period.period_id);
  const row = toUsageRow(stored);
  const pinned = seal
    ? { inputs: seal.inputs.pricing, plans: seal.inputs.plans, decisions: seal.inputs.decisions ?? [] }
    : null;
  const rates = seal?.inputs.exchange_rates ?? {};
  let used = pinned ?? (await readOpenInputs(deps.pool, period));
  let catalog = await deps.catalogs.at(used.inputs.catalog_version);
  let charged = chargeEvent(catalog, used.inputs, used.plans, row, used.decisions, rates);
  if ('held' in charged && seal) {
    // It waited when its period was sealed: what was published or decided since makes it late usage.
    used = await readOpenInputs(deps.pool, period);
    catalog = await deps.catalogs.at(used.inputs.catalog_version);
    charged = chargeEvent(catalog, used.inputs, used.plans, row, used.decisions, rates);
    if (!('held' in charged)) trail.status = 'late';
  }
  if ('held' in charged)
    return { ...trail, status: trail.status === 'late' ? 'late' : 'held', held_reason: charged.held };
  if ('written_off' in charged) return { ...trail, status: 'written_off', decision: charged.written_off };
  const { inputs, plans } = used;
  trail.decision = decisionOf(charged);
  const resolved = catalog.resolveModel(row, row.occurred_at_ms);
  trail.price = {
    catalog_version: inputs.catalog_version,
    provider: charged.provider,
    priced_as: charged.priced_as,
    how: 'how' in resolved ? resolved.how : 'exact',
    unpriced_tier: unpricedTierOf(catalog, row),
    rows: charged.rows,
  };
  trail.cost = charged.cost;
  trail.rule = charged.rules;
  trail.charge = charged.charge;
  trail.charge_currency = charged.charge_currency;
  trail.charges = charged.charges;
  if (!seal || trail.voided !== null) return trail;
  if (trail.billed_in !== null && trail.billed_in.start_date !== period.start_date) {
    return addCarriedLine(deps.pool, trail, period, trail.billed_in);
  }
  if (trail.status === 'late' && trail.billed_in === null) return trail;
  trail.billed_in = { start_date: period.start_date };
  const issued = await deps.pool.query('SELECT FROM invoices WHERE period_id = $1 AND revision = $2', [
    period.period_id,
    seal.revision,
  ]);
  if (issued.rowCount === 0) return trail;
  const invoice = await readInvoice(deps.pool, period.customer_id, period.start_date, seal.revision);
  const { content_hash, stripe_invoice_id, lines } = invoice;
  trail.invoice = { revision: seal.revision, content_hash, stripe_invoice_id };
  trail.charges = withTotals(charged.charges, invoice, seal);
  const attributes = charged.attributes[0];
  const { version } = inputs.assignments[charged.segment]!;
  const index = attributes ? lineOfUsage(lines, version, plans[charged.segment]!, attributes) : null;
  if (index !== null) {
    trail.line = { number: index + 1, description: lines[index]!.description, amount: lines[index]!.amount };
  }
  return trail;
}

/** Usage that another period carries stands in that invoice's line for the period in which it happened. */
async function addCarriedLine(
  pool: Pool,
  trail: UsageTrail,
  period: Period,
  { start_date }: { start_date: string },
): Promise<UsageTrail> {
  const { rows } = await pool.query<{ revision: number }>(
    `SELECT i.revision FROM invoices i JOIN periods USING (period_id)
     WHERE customer_id = $1 AND start_date = $2 ORDER BY i.revision DESC LIMIT 1`,
    [period.customer_id, start_date],
  );
  if (!rows[0]) return trail;
  const invoice = await readInvoice(pool, period.customer_id, start_date, rows[0].revision);
  const { content_hash, stripe_invoice_id, lines } = invoice;
  trail.invoice = { revision: rows[0].revision, content_hash, stripe_invoice_id };
  const isLine = ({ kind, group }: (typeof lines)[number]) =>
    kind === 'late_usage' && (group.late_usage_of === period.start_date || group.late_usage_of === undefined);
  const index = lines.findIndex(isLine);
  if (index >= 0) {
    trail.line = { number: index + 1, description: lines[index]!.description, amount: lines[index]!.amount };
  }
  return trail;
}

/** The decision whose stated price bills an event, or null. */
function decisionOf({ rows }: ChargedEvent): number | null {
  const decided = rows.find(({ price_id }) => price_id.startsWith(DECISION_PREFIX));
  return decided ? Number(decided.price_id.slice(DECISION_PREFIX.length)) : null;
}

async function readOpenInputs(database: Queryable, period: Period) {
  return readPricingInputs(database, period, await currentCatalogVersion(database));
}
