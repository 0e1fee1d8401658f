import { z } from 'zod';
import { HELD_EVENT_IDS_COUNT } from '../limits.js';
import { heldResolutionSchema } from './held-decision.js';
import { dateSchema, idSchema, modelSchema, noteSchema } from './ids.js';

/** Reasons why usage waits. */
export const HELD_REASONS = [
  'unknown_customer',
  'outside_billing',
  'being_placed',
  'unknown_model',
  'ambiguous_provider',
  'no_price',
  'impossible_counts',
  'context_size_unknown',
  'split_call',
] as const;
export type HeldReason = (typeof HELD_REASONS)[number];

/** The set of held usage that a request is about; what is left out is any. */
export const heldSetSchema = z.strictObject({
  customer_id: idSchema.optional(),
  /** A period of that customer. */
  start_date: dateSchema.optional(),
  reason: z.enum(HELD_REASONS).optional(),
  /** As the events name it. */
  provider: modelSchema.optional(),
  model_id: modelSchema.optional(),
});

/** A decision about held usage. */
export const heldRequestSchema = heldSetSchema
  .extend({
    /** Events of that customer. */
    event_ids: z.array(idSchema).min(1).max(HELD_EVENT_IDS_COUNT).optional(),
    decision: heldResolutionSchema,
    /** Why: kept for good, with who decided. */
    note: noteSchema,
    /** The same id again answers the same, and decides nothing twice. */
    request_id: idSchema.optional(),
  })
  .refine((request) => request.event_ids === undefined || request.customer_id !== undefined, {
    message: 'must come with the customer whose events they are',
    path: ['event_ids'],
  })
  .refine((request) => request.start_date === undefined || request.customer_id !== undefined, {
    message: 'must come with the customer whose period it is',
    path: ['start_date'],
  })
  .refine(
    ({ customer_id, reason, provider, model_id }) =>
      [customer_id, reason, provider, model_id].some((condition) => condition !== undefined),
    'must name a customer, a reason, a provider or a model',
  );
export type HeldRequest = z.infer<typeof heldRequestSchema>;
