import { z } from 'zod';
import { idSchema } from '../contracts/ids.js';
import { EVENT_STATUSES } from '../contracts/usage-event.js';
import { count, decimal } from './view-values.js';

export const usageResultsSchema = z.strictObject({
  results: z.array(
    z.strictObject({
      event_id: idSchema.nullable(),
      status: z.enum(EVENT_STATUSES),
      reason: z.string().optional(),
      detail: z.string().optional(),
      field: z.string().optional(),
    }),
  ),
});

/** The answer of OTLP: empty where every span with usage was taken. */
export const traceAnswerView = z.strictObject({
  partialSuccess: z.strictObject({ rejectedSpans: decimal, errorMessage: z.string() }).optional(),
});

/** Results of a door: entries that are no usage (spans of other kinds, answers out of a cache) have none. */
export const doorResultsSchema = usageResultsSchema.extend({ ignored: count });
