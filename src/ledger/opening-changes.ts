import type { ClosingBalances, OpeningBalances, OpeningChange } from '../contracts/balances.js';
import { canonicalJson } from '../contracts/canonical-json.js';
import type { Queryable } from '../database/pool.js';
import {
  add,
  compare,
  type Fraction,
  format,
  fromExactText,
  isZero,
  parseDecimal,
  subtract,
  ZERO,
} from '../money/fraction.js';
import { addTimeline } from '../periods/period-store.js';
import { readBalances } from './opening.js';
import { readSealablePeriod } from './seal.js';

/** What an issued revision opened with and took. */
interface Issued {
  period_id: number;
  opening: OpeningBalances;
  closing: ClosingBalances;
  /** Whether there was anything left that credits could have paid for. */
  owes: boolean;
  known: OpeningChange[] | null;
}

/**
 * How what a revision opened with differs from what it would open with now. Credits differ where there is more of one
 * that it used up: what later periods took since was never to be had.
 */
export function changesOfOpening(
  { opening: was, closing, owes }: Pick<Issued, 'opening' | 'closing' | 'owes'>,
  now: OpeningBalances,
): OpeningChange[] {
  const changes: OpeningChange[] = [];
  const left = ({ rollover }: OpeningBalances) =>
    new Map(rollover.map(({ plan_id, key, amount }) => [`${plan_id} ${key}`, { key, amount }]));
  const [before, after] = [left(was), left(now)];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [a, b] = [before.get(name)?.amount ?? '0', after.get(name)?.amount ?? '0'];
    if (a === b) continue;
    const { key } = (before.get(name) ?? after.get(name))!;
    changes.push({ kind: 'rollover', name: key, was: format(fromExactText(a)), now: format(fromExactText(b)) });
  }
  if (canonicalJson(was.advance) !== canonicalJson(now.advance)) {
    const name = (was.advance ?? now.advance)!.plan_id;
    changes.push({ kind: 'advance', name, was: was.advance?.amount ?? '0', now: now.advance?.amount ?? '0' });
  }
  if (canonicalJson(was.commitment) !== canonicalJson(now.commitment)) {
    const spent = (one: OpeningBalances['commitment']) => format(fromExactText(one?.spent ?? '0'));
    const name = (was.commitment ?? now.commitment)!.plan_id;
    changes.push({ kind: 'commitment', name, was: spent(was.commitment), now: spent(now.commitment) });
  }
  return owes ? [...changes, ...moreCredits(was, closing, now)] : changes;
}

function moreCredits(was: OpeningBalances, closing: ClosingBalances, now: OpeningBalances): OpeningChange[] {
  return now.credits.flatMap((grant): OpeningChange[] => {
    const had = parseDecimal(was.credits.find(({ grant_id }) => grant_id === grant.grant_id)?.remaining ?? '0');
    const use = closing.credits.find(({ grant_id }) => grant_id === grant.grant_id);
    const used = use ? add(parseDecimal(use.burned), parseDecimal(use.expired)) : ZERO;
    const isMore = compare(parseDecimal(grant.remaining), had) > 0;
    if (!isMore || !isZero(subtract(had, used))) return [];
    return [{ kind: 'credits', name: grant.name, was: format(had), now: grant.remaining }];
  });
}

/** A sealed period that would open with something else than it did. */
export interface ChangedOpening {
  start_date: string;
  changes: OpeningChange[];
}

/**
 * What would change for the sealed period that follows if a period were billed again and left `closing`; null where there
 * is none, or nothing would.
 */
export async function previewNextOpening(
  database: Queryable,
  period: { period_id: number; customer_id: string; starts_at: Date },
  closing: ClosingBalances,
): Promise<ChangedOpening | null> {
  const [own, next] = await readIssued(database, period.customer_id, period.starts_at.toISOString());
  if (own?.period_id !== period.period_id || next?.opening == null) return null;
  const { opening: now, before } = await readBalances(database, (await readSealablePeriod(database, next.period_id))!);
  if (before?.period_id !== period.period_id) return null;
  // What the period takes of a grant now comes back, what it would take goes.
  const took = creditsTaken(before.closing?.credits ?? []);
  const takes = creditsTaken(closing.credits);
  const known = new Set(now.credits.map(({ grant_id }) => grant_id));
  const wholly = (own.opening?.credits ?? []).filter(({ grant_id }) => !known.has(grant_id));
  const credits = [...now.credits, ...wholly.map((grant) => ({ ...grant, remaining: '0' }))].map((grant) => {
    const gives = subtract(took.get(grant.grant_id) ?? ZERO, takes.get(grant.grant_id) ?? ZERO);
    return { ...grant, remaining: format(add(parseDecimal(grant.remaining), gives)) };
  });
  const { rollover, advance, commitment } = closing;
  const changes = changesOfOpening({ ...next, opening: next.opening }, { rollover, advance, commitment, credits });
  return changes.length === 0 ? null : { start_date: next.start_date, changes };
}

function creditsTaken(uses: ClosingBalances['credits']): Map<number, Fraction> {
  return new Map(
    uses.map(({ grant_id, burned, expired }) => [grant_id, add(parseDecimal(burned), parseDecimal(expired))]),
  );
}

type IssuedRow = Omit<Issued, 'opening'> & { start_date: string; opening: OpeningBalances | null };

/** The newest revisions of the customer's sealed periods from an instant on, in their order. */
async function readIssued(database: Queryable, customerId: string, from: string | null): Promise<IssuedRow[]> {
  const { rows } = await database.query<IssuedRow>(
    `SELECT p.period_id, p.start_date, i.content::jsonb #> '{balances,opening}' AS opening,
            i.content::jsonb #> '{balances,closing}' AS closing, i.subtotal_minor > 0 AS owes, p.opening_changes AS known
     FROM periods p JOIN LATERAL (
       SELECT content, subtotal_minor FROM invoices WHERE period_id = p.period_id ORDER BY revision DESC LIMIT 1) i ON true
     WHERE p.customer_id = $1 AND ($2::timestamptz IS NULL OR p.starts_at >= $2) AND p.sealed_at IS NOT NULL
     ORDER BY p.starts_at`,
    [customerId, from],
  );
  return rows;
}

/**
 * Notes on the customer's sealed periods, all or from an instant on, whether they would open with something else now, for finance
 * to bill them again. Runs when an invoice was composed, under the billing lock.
 */
export async function noteOpenings(client: Queryable, customerId: string, from: string | null): Promise<void> {
  for (const issued of await readIssued(client, customerId, from)) {
    if (issued.opening === null) continue;
    const period = (await readSealablePeriod(client, issued.period_id))!;
    const { opening, before } = await readBalances(client, period);
    // A period before it that is not composed yet says nothing.
    const now = before?.closing === null ? { ...issued.opening, credits: opening.credits } : opening;
    const changes = changesOfOpening({ ...issued, opening: issued.opening }, now);
    if (canonicalJson(changes) === canonicalJson(issued.known ?? [])) continue;
    await client.query('UPDATE periods SET opening_changes = $2 WHERE period_id = $1', [
      issued.period_id,
      changes.length === 0 ? null : JSON.stringify(changes),
    ]);
    if (changes.length > 0) await addTimeline(client, issued.period_id, 'opening_changed', { changes });
  }
}
