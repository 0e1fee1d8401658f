import { refused } from './stripe-answer.js';
import type { Endpoint } from './stripe-endpoint.js';
import { newId } from './stripe-objects.js';
import type { StandInStore } from './stripe-stand-in-store.js';

/** What Stripe keeps of one of its thin events: it is delivered as a notification, and fetched by its id. */
export interface StandInCoreEvent {
  id: string;
  object: 'v2.core.event';
  type: 'v1.billing.meter.error_report_triggered' | 'v1.billing.meter.no_meter_found';
  created: string;
  livemode: false;
  related_object?: { id: string; type: 'billing.meter'; url: string };
  data: {
    developer_message_summary: string;
    validation_start: string;
    validation_end: string;
    reason: {
      error_count: number;
      error_types: {
        code: string;
        error_count: number;
        sample_errors: { error_message: string; request: { identifier: string } }[];
      }[];
    };
  };
}

export const retrieveCoreEvent: Endpoint = (context, id) => {
  const event = context.store.get('core_events', id);
  if (!event) throw refused(`No such event: '${id}'`, 'resource_missing', 'id', 404);
  return event;
};

/**
 * Refuses meter events that were taken before: they count no more, and an event says why. Answers the notification as it is
 * delivered: it says neither why nor which.
 */
export function rejectMeterEvents(
  store: StandInStore,
  nowMs: number,
  code: string,
  identifiers: readonly string[],
): { id: string; body: string } {
  const created = new Date(nowMs).toISOString();
  const named = store.get('meter_events', identifiers[0] ?? '')?.event_name;
  const meter = store.values('meters').find(({ event_name }) => event_name === named);
  for (const identifier of identifiers) store.delete('meter_events', identifier);
  const event: StandInCoreEvent = {
    id: newId('evt'),
    object: 'v2.core.event',
    type: code === 'no_meter' ? 'v1.billing.meter.no_meter_found' : 'v1.billing.meter.error_report_triggered',
    created,
    livemode: false,
    ...(meter === undefined || code === 'no_meter'
      ? {}
      : { related_object: { id: meter.id, type: 'billing.meter', url: `/v1/billing/meters/${meter.id}` } }),
    data: {
      developer_message_summary: `There are ${identifiers.length} invalid events`,
      validation_start: created,
      validation_end: created,
      reason: {
        error_count: identifiers.length,
        error_types: [
          {
            code,
            error_count: identifiers.length,
            sample_errors: identifiers.map((identifier) => ({
              error_message: `The event ${identifier} is invalid`,
              request: { identifier },
            })),
          },
        ],
      },
    },
  };
  store.put('core_events', event.id, event);
  const { data: _data, ...notification } = event;
  return { id: event.id, body: JSON.stringify(notification) };
}
