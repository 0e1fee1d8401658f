export const EVENT_STATUSES = ['accepted', 'duplicate', 'held', 'late', 'conflict', 'rejected'] as const;
export type EventStatus = (typeof EVENT_STATUSES)[number];

/** The result of one event of a batch, in the order sent. */
export interface EventResult {
  event_id: string | null;
  status: EventStatus;
  reason?: string;
  detail?: string;
  field?: string;
}
