import { z } from 'zod';
import { METER_EVENT_DIMENSIONS_COUNT, METER_EVENT_NAME_CHARS } from '../limits.js';
import { meterSchema } from './ids.js';

/** How usage goes to Stripe as events of one of its meters (plan key `meter_events`). */
export const meterSubmissionSchema = z.strictObject({
  /** `event_name` of the meter at Stripe. */
  event_name: z.string().min(1).max(METER_EVENT_NAME_CHARS),
  /**
   * What is counted: what the period's invoice comes to in minor units of the currency (while the period runs, the charge of
   * its usage so far), or the quantity of one of our meters.
   */
  value: z.union([z.literal('charge_minor'), meterSchema]).default('charge_minor'),
  /** Attributes of usage that are sent along, where a quantity is counted; each also in `lines.group_by`. */
  dimensions: z.array(z.string().min(1).max(140)).max(METER_EVENT_DIMENSIONS_COUNT).default([]),
});
export type MeterSubmission = z.infer<typeof meterSubmissionSchema>;

/** Where a period's meter events stand; decimal strings in what the meter counts. */
export interface MeterEventsView {
  event_name: string;
  /** What the ledger came to when it was last looked at: the sum of the five below. */
  ledger: string;
  sent: string;
  pending: string;
  unsendable: string;
  uncertain: string;
  /** Taken by Stripe, and refused by it afterwards. */
  rejected: string;
  /** Taken back at Stripe, or never sent: in no sum. */
  cancelled: string;
  /** What was added or taken off since the period was billed first: Stripe's invoice for it may lack it. Null before. */
  after_close: string | null;
  /** What Stripe counted; null while nobody asked. */
  counted: string | null;
  counted_at: string | null;
  /** Whether Stripe counted what the ledger came to. */
  equal: boolean | null;
}
