import { METERS } from '../contracts/meters.js';
import type { CandidateRow, DiffPrice, Suspicion } from '../contracts/price-proposal.js';
import {
  PRICE_MOVE_SUSPICIOUS_FACTOR,
  PRICE_TOKEN_MAX_DOLLARS,
  PRICE_TOKEN_MIN_DOLLARS,
  PRICE_UNIT_TOLERANCE_FACTOR,
} from '../limits.js';
import { compare, divide, type Fraction, format, fromInteger, multiply, parseDecimal } from '../money/fraction.js';
import type { Catalog } from './catalog.js';

/** What the catalog says in a candidate's slot; `unit` is the cost of one unit, null where its fallbacks lead nowhere. */
export interface OldPrice extends DiffPrice {
  unit: Fraction | null;
}

/** A candidate and what it is compared with. */
export interface SuspectedPrice {
  row: CandidateRow;
  old: OldPrice | null;
  /** The model whose prices count now, where an alias, a rule or a fallback provider leads to another one. */
  resolved: string | null;
  /** What other sources give for the same slot. */
  others: { source: string; price: string; per: number }[];
}

const UNITS = [1_000, 1_000_000];

/** What about a candidate a person should look at before it is published; nothing for most. */
export function suspicionsOf(catalog: Catalog, atMs: number, suspected: SuspectedPrice): Suspicion[] {
  const { row, old, resolved, others } = suspected;
  const found: Suspicion[] = [];
  const unit = row.price === undefined ? null : unitPrice(row.price, row.per);
  if (old && old.currency !== row.currency) {
    found.push({ reason: 'currency', detail: `the catalog has it in ${old.currency}; a model has one currency` });
  } else if (unit && old?.unit && old.unit.n > 0n) {
    const move = moveOf(divide(unit, old.unit));
    if (move) found.push(move);
  }
  if (unit && row.currency === 'usd' && METERS[row.meter]?.unit === 'tokens') {
    const low = compare(unit, parseDecimal(PRICE_TOKEN_MIN_DOLLARS)) < 0;
    const high = compare(unit, parseDecimal(PRICE_TOKEN_MAX_DOLLARS)) > 0;
    const known = found.some(({ reason }) => reason === 'unit');
    if ((low || high) && !known) {
      found.push({ reason: 'unit', detail: `no model costs so ${low ? 'little' : 'much'} a token` });
    }
  }
  for (const other of others) {
    if (unit && compare(unit, unitPrice(other.price, other.per)) !== 0) {
      found.push({ reason: 'sources_disagree', detail: `${other.source} says ${other.price} per ${other.per}` });
    }
  }
  if (resolved !== null) {
    const detail = `usage of it is priced as ${resolved} now, with all meters of that; with this row only by its own`;
    found.push({ reason: 'resolves_otherwise', detail });
  } else if (old === null && becomesAmbiguous(catalog, atMs, row)) {
    found.push({
      reason: 'becomes_ambiguous',
      detail: 'usage that names the model and no provider has one meaning now, and would be held then',
    });
  }
  return found;
}

function unitPrice(price: string, per: number): Fraction {
  const { n, d } = parseDecimal(price);
  return { n, d: d * BigInt(per) };
}

/** A move that looks like another unit, or that is only large. */
function moveOf(factor: Fraction): Suspicion | null {
  const up = factor.n >= factor.d ? factor : divide(fromInteger(1), factor);
  const text = `${factor.n >= factor.d ? 'up' : 'down'} by a factor of ${format(up, 2)}`;
  for (const step of UNITS) {
    const ratio = divide(up, fromInteger(step));
    const spread = fromInteger(PRICE_UNIT_TOLERANCE_FACTOR);
    if (compare(ratio, spread) <= 0 && compare(multiply(ratio, spread), fromInteger(1)) >= 0) {
      return { reason: 'unit', detail: `${text}, which looks like a price for ${step} times the unit` };
    }
  }
  if (compare(up, fromInteger(PRICE_MOVE_SUSPICIOUS_FACTOR)) <= 0) return null;
  return { reason: 'large_move', detail: text };
}

/** A name that only one provider has resolves without one; a second provider with the name makes it ambiguous. */
function becomesAmbiguous(catalog: Catalog, atMs: number, { provider, model_id }: CandidateRow): boolean {
  if (catalog.modelEntry(provider, model_id) !== null) return false;
  if (catalog.allPrices(provider, model_id).boundaries.length > 0) return false;
  const found = catalog.resolveModel({ provider: null, provider_hint: null, model_id }, atMs);
  return 'priced_as' in found && found.provider !== provider;
}
