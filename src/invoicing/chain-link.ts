import { z } from 'zod';
import type { ClosingBalances, OpeningBalances, RolledOver } from '../contracts/balances.js';
import { dateSchema, idSchema, instantSchema, unsignedDecimalSchema } from '../contracts/ids.js';
import type { Queryable } from '../database/pool.js';
import { readGrantsOf } from '../ledger/credits.js';
import { OPEN_GRANTS_COUNT } from '../limits.js';
import {
  compare,
  format,
  fromExactText,
  maximum,
  minimum,
  parseDecimal,
  subtract,
  sum,
  toExactText,
  ZERO,
} from '../money/fraction.js';

const exactText = z.string().regex(/^-?\d{1,200}(\/[1-9]\d{0,199})?$/);

/**
 * What a period that was composed as supposed leaves to the next one. It crosses pages inside a cursor, so that it is
 * read as what anybody may have written: it decides nothing but the answer to whoever sent it.
 */
export const chainLinkSchema = z.strictObject({
  start_date: dateSchema,
  /** Its end: the period that begins there opens with this. */
  end: instantSchema,
  rollover: z.array(z.strictObject({ plan_id: idSchema, key: z.string().max(10_000), amount: exactText })).max(100),
  advance: z
    .strictObject({ plan_id: idSchema, version: z.number().int().positive(), amount: unsignedDecimalSchema })
    .nullable(),
  commitment: z
    .strictObject({
      plan_id: idSchema,
      amount: unsignedDecimalSchema,
      periods: z.number().int().positive(),
      early_end: z.enum(['prorated', 'full']),
      over: z.number().int().nonnegative(),
      elapsed: exactText,
      spent: exactText,
    })
    .nullable(),
  /** What is left of each grant that the chain has met, by its id; those that it used up too. */
  credits: z.array(z.tuple([z.number().int().positive(), unsignedDecimalSchema])).max(10 * OPEN_GRANTS_COUNT),
});
export type ChainLink = z.infer<typeof chainLinkSchema>;

/** The link from a period to the next one; `before`: the link that it opened with itself. */
export function linkFrom(
  period: { start_date: string; ends_at: Date },
  { rollover, advance, commitment, credits }: ClosingBalances,
  before: ChainLink | null,
): ChainLink {
  const left = new Map(before?.credits);
  for (const { grant_id, remaining } of credits) left.set(grant_id, remaining);
  const end = period.ends_at.toISOString();
  return { start_date: period.start_date, end, rollover, advance, commitment, credits: [...left] };
}

/**
 * What late usage of the period before takes off what it left, here as in reality: the amounts of the chain less the
 * difference of what the invoice `opened` with and what it would have been without that usage (`pinned`); never below zero.
 */
export function lessLate(
  chained: readonly RolledOver[],
  pinned: readonly RolledOver[],
  opened: readonly RolledOver[],
): RolledOver[] {
  const amountOf = (list: readonly RolledOver[], { plan_id, key }: RolledOver) =>
    sum(list.filter((one) => one.plan_id === plan_id && one.key === key).map(({ amount }) => fromExactText(amount)));
  return chained.flatMap((one) => {
    const taken = subtract(amountOf(pinned, one), amountOf(opened, one));
    const left = subtract(fromExactText(one.amount), maximum(taken, ZERO));
    return compare(left, ZERO) > 0 ? [{ ...one, amount: toExactText(left) }] : [];
  });
}

/**
 * What a period opens with after a chain: rollover, fee in advance and commitment of the link; of each grant what the chain
 * left of it, and grants that the chain has not met as they really stood. What was revoked is no more than it really was.
 */
export async function openingAfter(
  database: Queryable,
  period: { customer_id: string; starts_at: Date; ends_at: Date },
  real: OpeningBalances,
  link: ChainLink,
): Promise<OpeningBalances> {
  const chained = new Map(link.credits);
  const really = new Map(real.credits.map(({ grant_id, remaining }) => [grant_id, parseDecimal(remaining)]));
  const grants = await readGrantsOf(database, period, [...new Set([...chained.keys(), ...really.keys()])]);
  const credits = grants.flatMap(({ revoked, ...grant }) => {
    const real = really.get(grant.grant_id) ?? ZERO;
    const left = chained.get(grant.grant_id);
    const whole = left === undefined ? real : minimum(parseDecimal(left), parseDecimal(grant.amount));
    const remaining = revoked ? minimum(whole, real) : whole;
    return compare(remaining, ZERO) > 0 ? [{ ...grant, remaining: format(remaining) }] : [];
  });
  const { rollover, advance, commitment } = link;
  return { rollover, advance, commitment, credits };
}
