import { z } from 'zod';
import { badParameter, refused } from './stripe-answer.js';
import { type Endpoint, pageOf, seconds } from './stripe-endpoint.js';
import { listOf, newId, type StandInMeter } from './stripe-objects.js';
import { expand, readParameters, schemas } from './stripe-parameters.js';

const DAY_SECONDS = 86_400;

export const createMeter: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.meterCreate, params);
  const meter: StandInMeter = {
    id: newId('mtr'),
    object: 'billing.meter',
    created: seconds(context),
    display_name: asked.display_name,
    event_name: asked.event_name,
    status: 'active',
    default_aggregation: asked.default_aggregation,
    customer_mapping: asked.customer_mapping ?? { event_payload_key: 'stripe_customer_id', type: 'by_id' },
    value_settings: asked.value_settings ?? { event_payload_key: 'value' },
    event_time_window: null,
    livemode: false,
  };
  context.store.put('meters', meter.id, meter);
  return meter;
};

export const listMeters: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.meterList, params);
  const found = context.store.values('meters').filter((it) => (asked.status ?? it.status) === it.status);
  return listOf('/v1/billing/meters', pageOf(found.reverse(), asked.starting_after, asked.limit), asked.limit);
};

/** Takes an event as Stripe does: of a meter that is there, not too old, not in the future, each identifier once a day. */
export const createMeterEvent: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.meterEventCreate, params);
  const now = seconds(context);
  const timestamp = asked.timestamp ?? now;
  const meter = context.store
    .values('meters')
    .find(({ event_name, status }) => event_name === asked.event_name && status === 'active');
  if (!meter) throw refused('No active meter found with the event name.', 'no_meter', 'event_name');
  if (timestamp < now - 35 * DAY_SECONDS) {
    throw refused('The timestamp must be within the past 35 days.', 'timestamp_too_far_in_past', 'timestamp');
  }
  if (timestamp > now + 300) {
    throw refused('The timestamp must be at most 5 minutes ahead.', 'timestamp_in_future', 'timestamp');
  }
  const value = asked.payload[meter.value_settings.event_payload_key] ?? '';
  if (!/^-?\d+(\.\d+)?$/.test(value)) throw badParameter('payload[value]', 'The value must be a number.');
  if (value.replaceAll(/\D/g, '').replace(/^0+/, '').length > 15) {
    throw badParameter('payload[value]', 'The value in the event payload can have at most 15 digits.');
  }
  const customer = asked.payload[meter.customer_mapping.event_payload_key];
  if (customer === undefined) throw badParameter('payload', 'The payload must name the customer.');
  const identifier = asked.identifier ?? newId('evt');
  const known = context.store.get('meter_events', identifier);
  if (known && now - known.created < DAY_SECONDS) {
    // Without a code, as Stripe answers it.
    throw refused(`An event already exists with identifier ${identifier}.`);
  }
  const event = {
    object: 'billing.meter_event' as const,
    created: now,
    event_name: asked.event_name,
    identifier,
    livemode: false as const,
    payload: asked.payload,
    timestamp,
  };
  // One that comes again after a day counts again.
  context.store.put('meter_events', known ? `${identifier}/${newId('again')}` : identifier, event);
  return event;
};

/** Takes an event back, as Stripe does within a day of receiving it. */
export const adjustMeterEvent: Endpoint = (context, _id, params) => {
  const asked = readParameters(adjustmentCreate, params);
  const { identifier } = asked.cancel;
  const event = context.store.get('meter_events', identifier);
  if (event?.event_name !== asked.event_name) throw refused('No event was found with the identifier.');
  if (seconds(context) - event.created >= DAY_SECONDS) {
    throw refused('You can only cancel events within 24 hours of Stripe receiving them.');
  }
  context.store.delete('meter_events', identifier);
  return {
    object: 'billing.meter_event_adjustment',
    livemode: false,
    status: 'pending',
    event_name: asked.event_name,
    type: 'cancel',
    cancel: { identifier },
  };
};

const adjustmentCreate = z.strictObject({
  type: z.literal('cancel'),
  event_name: z.string().max(100),
  cancel: z.strictObject({ identifier: z.string().max(100) }),
  expand,
});

export const listEventSummaries: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.eventSummaryList, params);
  const meter = context.store.get('meters', id);
  if (!meter) throw refused(`No such meter: '${id}'`, 'resource_missing', 'meter', 404);
  if (asked.start_time % 60 !== 0 || asked.end_time % 60 !== 0) {
    throw badParameter('start_time', 'Must be aligned with minute boundaries.');
  }
  const scaled = context.store
    .values('meter_events')
    .filter(
      ({ event_name, payload, timestamp }) =>
        event_name === meter.event_name &&
        payload[meter.customer_mapping.event_payload_key] === asked.customer &&
        timestamp >= asked.start_time &&
        timestamp < asked.end_time,
    )
    .reduce((sum, { payload }) => sum + Number(payload[meter.value_settings.event_payload_key]), 0);
  const summary = {
    id: newId('mtrusg'),
    object: 'billing.meter_event_summary',
    aggregated_value: scaled,
    start_time: asked.start_time,
    end_time: asked.end_time,
    livemode: false,
    meter: id,
  };
  return listOf(`/v1/billing/meters/${id}/event_summaries`, [summary], asked.limit);
};
