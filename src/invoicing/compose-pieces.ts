import type { OpenCredit } from '../contracts/balances.js';
import { apportion } from '../money/apportion.js';
import { billableStepMinor, type Currency } from '../money/currency.js';
import { divide, type Fraction, fromInteger, isZero, multiply, sum, ZERO } from '../money/fraction.js';
import { type GroupAttributes, matchesRule } from '../plans/plan-rules.js';
import { addTo, type UsageSum } from './compose-sums.js';

/*
 * Credits with a match pay for some usage only. What an invoice charges for usage is therefore known by pieces: a piece
 * is the usage of a plan part that the same grants match. Without such grants there are no pieces.
 */

/** The places in the opening's credits of the grants that match a piece, ` 0 3 `; the rest of the usage: NOBODY. */
export type Takers = string;
export const NOBODY: Takers = ' ';

/** Usage of a part that the same grants match; `charge`: its share of the rounded lines, in the invoice's currency. */
export interface Piece {
  part: number;
  takers: Takers;
  charge: Fraction;
}

/** Tells which grants match usage. Null where no grant has a match. */
export function takersOf(credits: readonly OpenCredit[]): ((attributes: GroupAttributes) => Takers) | null {
  const matching = credits.flatMap(({ match }, place) => (match === undefined ? [] : [{ match, place }]));
  if (matching.length === 0) return null;
  return (attributes) =>
    matching.reduce(
      (takers, { match, place }) => (matchesRule(match, attributes) ? `${takers}${place} ` : takers),
      NOBODY,
    );
}

/** Whether the grant at this place matches a piece. */
export function takes(place: number, takers: Takers): boolean {
  return takers.includes(` ${place} `);
}

/** Adds to what a sum of usage charges by takers. */
export function addPiece(usage: UsageSum, takers: Takers, currency: Currency, charge: Fraction): void {
  const known = usage.pieces.get(takers) ?? new Map<Currency, Fraction>();
  addTo(known, currency, charge);
  usage.pieces.set(takers, known);
}

/**
 * A line that a rule makes on its total: its charge is shared by what it counts. `weights`: that of each piece; where
 * they say nothing it is nobody's.
 */
export function inPieces(usage: UsageSum, weights: ReadonlyMap<Takers, Fraction> | undefined): UsageSum {
  const whole = sum(weights?.values() ?? []);
  const shares: [Takers, Fraction][] = isZero(whole)
    ? [[NOBODY, fromInteger(1)]]
    : [...weights!].map(([takers, weight]) => [takers, divide(weight, whole)]);
  const cut = (share: Fraction) =>
    new Map([...usage.charges].map(([currency, charge]) => [currency, multiply(charge, share)]));
  return { ...usage, pieces: new Map(shares.map(([takers, share]) => [takers, cut(share)])) };
}

/**
 * What is left of usage, by takers, in minor units that sum to it: of each part, `left` in proportion to the rounded
 * charges of its pieces. What discounts, allowances and a maximum took, they took of all alike.
 */
export function sharePieces(
  pieces: readonly Piece[],
  left: readonly bigint[],
  currency: Currency,
): Map<Takers, bigint> {
  const shared = new Map<Takers, bigint>();
  left.forEach((amount, part) => {
    if (amount <= 0n) return;
    const sums = new Map<Takers, Fraction>([[NOBODY, ZERO]]);
    for (const piece of pieces) if (piece.part === part) addTo(sums, piece.takers, piece.charge);
    const takers = inOrder(sums.keys());
    const weights = takers.map((one) => sums.get(one)!);
    // Usage that only an allowance of quantity includes, and a discount's rounding left a minor unit of.
    if (isZero(sum(weights))) weights[weights.length - 1] = fromInteger(1);
    apportion(amount, weights, billableStepMinor(currency)).forEach((share, index) => {
      shared.set(takers[index]!, (shared.get(takers[index]!) ?? 0n) + share);
    });
  });
  return shared;
}

/** Takes a paid amount off the pieces that `pays` says, in proportion to what is left of each. */
export function payPieces(
  left: Map<Takers, bigint>,
  paid: bigint,
  pays: (takers: Takers) => boolean,
  currency: Currency,
): void {
  const takers = inOrder(left.keys()).filter(pays);
  const weights = takers.map((one) => fromInteger(left.get(one)!));
  apportion(paid, weights, billableStepMinor(currency)).forEach((share, index) => {
    left.set(takers[index]!, left.get(takers[index]!)! - share);
  });
}

/** In code unit order, what nobody matches last: of equal rests the one that a grant can pay gets the minor unit. */
function inOrder(takers: Iterable<Takers>): Takers[] {
  return [...takers].sort((a, b) => (a === NOBODY ? 1 : b === NOBODY ? -1 : a < b ? -1 : 1));
}
