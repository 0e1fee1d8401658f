import { z } from 'zod';
import { durationSchema } from './ids.js';

/** What a plan does with usage that reaches a period after its seal. */
export const lateOptions = {
  /**
   * `carry`: the customer's open period bills it, as a line of its own. `rebill`: the period is billed again, for what
   * arrives within `rebill_window` after the seal; later usage is carried. `hold`: a person decides.
   */
  late_usage: z.enum(['carry', 'rebill', 'hold']).optional(),
  rebill_window: durationSchema.optional(),
};

export type LatePolicy = 'carry' | 'rebill' | 'hold';

/** How long after the seal late usage is billed again rather than carried, where the plan does not say. */
export const REBILL_WINDOW_DEFAULT = 'P3D';
