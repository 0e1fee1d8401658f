import { type BuiltEvent, type DoorEntry, objectOf, refused } from './door.js';

/** What the sender of a gateway's answer adds to it: whose call it was, and how it is grouped and charged. */
const ADDED = [
  'customer_id',
  'occurred_at',
  'feature',
  'subscription_item_id',
  'action_id',
  'region',
  'service_tier',
  'features',
  'dimensions',
  'paid_by',
  'reservation_id',
] as const;

/**
 * Reads `{"calls": [...]}` or one call by itself. Each call is a closed object of ADDED members and those that the door
 * reads (`own`); the answer itself stands in one of those and may hold anything, of which `read` takes what it names.
 */
export function readCalls(
  body: unknown,
  own: readonly string[],
  read: (call: Readonly<Record<string, unknown>>, added: BuiltEvent, path: string) => DoorEntry,
): DoorEntry[] {
  const one = objectOf(body);
  const calls = one !== null && Array.isArray(one.calls) && Object.keys(one).length === 1 ? one.calls : [body];
  return calls.map((value: unknown, at) => {
    const path = `calls[${at}]`;
    const call = objectOf(value);
    if (call === null) return refused(path, 'must be an object');
    const added: BuiltEvent = {};
    for (const key of Object.keys(call)) {
      if (own.includes(key)) continue;
      if (!ADDED.some((known) => known === key)) return refused(path, 'has a key that is not known here');
      added[key] = call[key];
    }
    return read(call, added, path);
  });
}
