import type { FastifyRequest } from 'fastify';
import type { EventResult } from '../contracts/event-result.js';
import type { DoorEntry } from '../doors/door.js';
import { CostplusError } from '../errors/error.js';
import type { Sender } from '../ledger/receive-usage.js';
import { DOOR_ENTRIES_COUNT, EVENTS_PER_REQUEST_COUNT } from '../limits.js';
import type { UsageSenders } from './usage-sender.js';

/** What became of the entries of a foreign payload: a result for each but those that are no usage, in order. */
export interface DoorResults {
  results: EventResult[];
  ignored: number;
}

/**
 * Appends what a door built, through the same checks as `POST /v1/usage`, and answers once all of it is committed. A
 * failure in the middle leaves what was committed: the sender repeats the whole payload, and nothing counts twice.
 */
export async function receiveEntries(
  senders: UsageSenders,
  request: FastifyRequest,
  sender: Sender,
  entries: readonly DoorEntry[],
): Promise<DoorResults> {
  if (entries.length > DOOR_ENTRIES_COUNT) {
    throw new CostplusError('invalid_request', `The body holds more than ${DOOR_ENTRIES_COUNT} entries.`);
  }
  const built = entries.flatMap((entry) => ('event' in entry ? [entry] : []));
  const appended: EventResult[] = [];
  for (let from = 0; from < built.length; from += EVENTS_PER_REQUEST_COUNT) {
    const part = built.slice(from, from + EVENTS_PER_REQUEST_COUNT);
    const results = await senders.receive(
      request,
      sender,
      part.map(({ event }) => event),
      part.map(({ marks }) => marks),
    );
    appended.push(...results);
  }
  const results: EventResult[] = [];
  let [next, ignored] = [0, 0];
  for (const [at, entry] of entries.entries()) {
    if ('event' in entry) results.push(namedByEntry(appended[next++]!, at));
    else if ('refused' in entry) results.push(entry.refused);
    else ignored++;
  }
  senders.count(request, results);
  return { results, ignored };
}

/** A fault of a built event names the entry that it was built of: the sender knows no built events. */
function namedByEntry(result: EventResult, at: number): EventResult {
  return result.field === undefined
    ? result
    : { ...result, field: result.field.replace(/^events\[\d+\]/, `entries[${at}]`) };
}
