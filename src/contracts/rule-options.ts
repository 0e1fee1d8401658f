import { z } from 'zod';
import { durationSchema, unsignedDecimalSchema } from './ids.js';

/** What a rule may say beside its markup or margin. */
export const ruleOptions = {
  /** Charged for each event on top, in the plan's currency; an event counts under the rule of its first meter by name. */
  fee_per_event: unsignedDecimalSchema.optional(),
  /**
   * Which cost is charged on: the catalog's (default), or what the provider or gateway reported with the event. An event
   * without a reported cost is charged on the catalog's.
   */
  cost_basis: z.enum(['catalog', 'reported']).optional(),
};

/** How long a plan waits for held usage where it does not say. */
export const HELD_WAIT_DEFAULT = 'P3D';

/** What a plan may say of usage that waits when its period ends. */
export const heldOptions = {
  /** `close` without it (default), `wait` for up to `held_wait`, or `stop` until a person releases the period. */
  on_held: z.enum(['close', 'wait', 'stop']).optional(),
  /** How long beyond the period's end and grace; HELD_WAIT_DEFAULT where it is left out. */
  held_wait: durationSchema.optional(),
};
