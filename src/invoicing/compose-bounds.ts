import type { CommitmentState } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import { fromMinor, roundToMinor } from '../money/currency.js';
import {
  add,
  type Fraction,
  fromExactText,
  multiply,
  parseDecimal,
  subtract,
  toExactText,
  ZERO,
} from '../money/fraction.js';
import { feeLine } from './compose-fees.js';
import type { LateLine } from './compose-late.js';
import type { Draft } from './compose-lines.js';
import { type Terms, termOf } from './compose-parts.js';
import { boundDescription, commitmentDescription } from './fee-wording.js';

/** Step "minimum_spend": one line that tops up each part to its minimum, where fee and usage leave it below. */
export function topUpToMinimum(draft: Draft, terms: Terms): Draft {
  return moveToBound(draft, terms, 'minimum_spend', minimumOf, (missing) => missing > 0n);
}

/** Step "maximum_spend": one negative line that takes each part back to its maximum. */
export function cutToMaximum(draft: Draft, terms: Terms): Draft {
  return moveToBound(draft, terms, 'maximum_spend', maximumOf, (missing) => missing < 0n);
}

function moveToBound(
  draft: Draft,
  { parts, currency }: Terms,
  kind: 'minimum_spend' | 'maximum_spend',
  amountOf: (plan: Plan) => string | undefined,
  isDue: (missing: bigint) => boolean,
): Draft {
  const usage = [...draft.usage];
  const fees = [...draft.fees];
  let [exact, minor, bounds]: [Fraction, bigint, bigint] = [ZERO, 0n, 0n];
  parts.forEach((part, index) => {
    const bound = termOf(part, amountOf(part.plan), currency);
    if (bound === null) return;
    const spent = usage[index]! + fees[index]!;
    const missing = bound.minor - spent;
    if (!isDue(missing)) return;
    exact = add(exact, subtract(bound.exact, fromMinor(spent, currency)));
    minor += missing;
    bounds += bound.minor;
    // What is added is a fee; what is taken off is usage first.
    const ofUsage = missing > 0n ? 0n : -missing < usage[index]! ? missing : -usage[index]!;
    usage[index]! += ofUsage;
    fees[index]! += missing - ofUsage;
  });
  if (minor === 0n) return draft;
  const several = parts.length > 1;
  const description = boundDescription(kind, several ? null : bounds, currency);
  const line = { ...feeLine(kind, description, several ? null : parts[0]!, exact, minor), plan: null };
  return { ...draft, usage, fees, lines: [...draft.lines, line] };
}

/**
 * Step "commitment": counts what the period spent towards the commitment, late usage of its earlier periods with it.
 * When its last period is over one line tops it up. A plan or a customer that ends earlier is asked for the share of the time, or for all of it, as the plan says.
 */
export function trueUpCommitment(draft: Draft, terms: Terms, late: readonly LateLine[] = []): Draft {
  const { parts, currency, opening, next, last } = terms;
  let result = draft;
  const runs = opening.commitment === null ? [] : [opening.commitment];
  if (last.commitment !== undefined && opening.commitment?.plan_id !== last.plan_id) {
    runs.push({ plan_id: last.plan_id, ...last.commitment, over: 0, elapsed: '0', spent: '0' });
  }
  for (const run of runs) {
    const state = advance(run, draft, terms, run === opening.commitment ? late : []);
    const goesOn = next?.plan_id === run.plan_id && last.plan_id === run.plan_id;
    if (state.over < run.periods && goesOn) {
      result = { ...result, commitment: state };
      continue;
    }
    const early = state.over < run.periods;
    const share = multiply(fromExactText(state.elapsed), { n: 1n, d: BigInt(run.periods) });
    const amount = parseDecimal(run.amount);
    const due = early && run.early_end === 'full' ? amount : multiply(amount, share);
    const missing = subtract(due, fromExactText(state.spent));
    const minor = roundToMinor(missing, currency);
    if (minor <= 0n) continue;
    const part = parts.find(({ plan }) => plan.plan_id === run.plan_id) ?? null;
    const description = commitmentDescription(roundToMinor(due, currency), state.over, currency);
    const line = { ...feeLine('commitment', description, part, missing, minor), plan: null };
    result = { ...result, beside: result.beside + minor, lines: [...result.lines, line] };
  }
  return result;
}

function advance(
  run: CommitmentState,
  draft: Draft,
  { parts, currency }: Terms,
  late: readonly LateLine[],
): CommitmentState {
  let [spent, elapsed] = [fromExactText(run.spent), fromExactText(run.elapsed)];
  parts.forEach((part, index) => {
    if (part.plan.plan_id !== run.plan_id) return;
    spent = add(spent, fromMinor(draft.usage[index]! + draft.fees[index]!, currency));
    elapsed = add(elapsed, part.share);
  });
  for (const { committed } of late) {
    if (committed?.plan_id === run.plan_id) spent = add(spent, committed.spent);
  }
  return { ...run, over: run.over + 1, elapsed: toExactText(elapsed), spent: toExactText(spent) };
}

const minimumOf = (plan: Plan) => plan.minimum_spend;
const maximumOf = (plan: Plan) => plan.maximum_spend;
