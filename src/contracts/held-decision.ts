import { z } from 'zod';
import { HELD_PRICES_COUNT } from '../limits.js';
import { currencySchema, meterSchema, unsignedDecimalSchema } from './ids.js';

/** A price that a person states: `price` for `per` units. */
const statedPriceSchema = z.strictObject({
  price: unsignedDecimalSchema,
  per: z.number().int().positive().max(Number.MAX_SAFE_INTEGER).default(1),
  currency: currencySchema.default('usd'),
});

/**
 * What is done with usage that waits. `bill`: these prices stand in for the catalog's, meter by meter; meters that are
 * not named keep the catalog's. Usage whose counts are impossible is billed as one unit of `requests`. `write_off`: it is
 * never charged.
 */
export const heldResolutionSchema = z.union(
  [
    z.strictObject({
      bill: z.strictObject({
        prices: z
          .record(meterSchema, statedPriceSchema)
          .refine(
            (prices) => Object.keys(prices).length >= 1 && Object.keys(prices).length <= HELD_PRICES_COUNT,
            `must name 1 to ${HELD_PRICES_COUNT} meters`,
          ),
      }),
    }),
    z.strictObject({ write_off: z.literal(true) }),
  ],
  'must have exactly one of bill and write_off',
);
export type HeldResolution = z.infer<typeof heldResolutionSchema>;

/** A decision as pricing takes it: which waiting usage of a period, received until when, and what is done with it. */
export interface HeldDecision {
  decision_id: number;
  /** RFC 3339, UTC, whole milliseconds: usage that the ledger received later is not meant. */
  decided_at: string;
  /** Conditions; null: any. */
  reason: string | null;
  provider: string | null;
  model_id: string | null;
  event_ids: string[] | null;
  /** About usage that no period took at the time: it counts whatever period takes it later, held or not. */
  unplaced: boolean;
  decision: HeldResolution;
}
