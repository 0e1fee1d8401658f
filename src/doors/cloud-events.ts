import type { EventMark } from '../contracts/event-mark.js';
import { type DoorEntry, hashedEventId, IGNORED, objectOf, refused, stringOf, withoutUndefined } from './door.js';

/** The type of the CloudEvents that are usage; others of the same channel are passed over. */
export const CLOUD_EVENT_TYPE = 'costplus.usage';

const NO_MARKS: readonly EventMark[] = [];

/**
 * One CloudEvent 1.0 (https://github.com/cloudevents/spec) whose data is a usage event without `event_id`. Identity: the
 * hash of `source` and `id`, which CloudEvents promises to be unique together. `subject` is the customer and `time` the
 * time, where the data does not say it. Extension attributes are not read.
 */
export function readCloudEvent(value: unknown, path: string): DoorEntry {
  const cloudEvent = objectOf(value);
  if (cloudEvent === null) return refused(path, 'must be a CloudEvent');
  if (cloudEvent.specversion !== '1.0') return refused(`${path}.specversion`, 'must be "1.0"');
  if (stringOf(cloudEvent.type) === undefined) return refused(`${path}.type`, 'is missing');
  if (cloudEvent.type !== CLOUD_EVENT_TYPE) return IGNORED;
  const [id, source] = [stringOf(cloudEvent.id), stringOf(cloudEvent.source)];
  if (id === undefined) return refused(`${path}.id`, 'is missing');
  if (source === undefined) return refused(`${path}.source`, 'is missing');
  if (cloudEvent.data_base64 !== undefined) return refused(`${path}.data_base64`, 'is not read: send JSON as data');
  const data = objectOf(cloudEvent.data);
  if (data === null) return refused(`${path}.data`, 'must be a usage event');
  if (data.event_id !== undefined) {
    return refused(`${path}.data.event_id`, 'must be left out: source and id name the event');
  }
  return {
    event: withoutUndefined({
      customer_id: stringOf(cloudEvent.subject),
      occurred_at: stringOf(cloudEvent.time),
      ...data,
      event_id: hashedEventId('cloudevents', source, id),
    }),
    marks: NO_MARKS,
  };
}

/**
 * The CloudEvent of a request in binary mode: attributes are `ce-` headers, percent-encoded, and the body is the data.
 */
export function cloudEventOfHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  data: unknown,
): Record<string, unknown> {
  const cloudEvent: Record<string, unknown> = { data };
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('ce-') && typeof value === 'string') cloudEvent[name.slice('ce-'.length)] = decoded(value);
  }
  return cloudEvent;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
