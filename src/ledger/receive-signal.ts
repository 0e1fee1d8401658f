import { z } from 'zod';
import type { UsageBatch } from '../contracts/engine.js';
import { idSchema } from '../contracts/ids.js';
import type { EventResult } from '../contracts/usage-event.js';
import { CostplusError } from '../errors/error.js';
import { SIGNAL_BYTES, SIGNAL_EVENTS_COUNT } from '../limits.js';
import type { Sources } from '../sources/sources.js';
import { verifyRequest } from '../usage/request-signature.js';
import type { Appender } from './append.js';
import { readUsageBody, receiveEvents } from './receive-usage.js';

/** Whoever reaches the engine can signal anything: what is no batch is refused, since trying again cannot mend it. */
const batchSchema = z.strictObject({
  kind: z.literal('batch'),
  batch_id: idSchema,
  source: idSchema,
  headers: z.strictObject({
    'webhook-id': z.string(),
    'webhook-timestamp': z.string(),
    'webhook-signature': z.string(),
  }),
  body: z.string(),
});

/**
 * Appends a batch that a service signalled to a workflow, through the same checks as the HTTP door. The signature is
 * checked as of the time it names: the batch may have waited in the engine for a worker, and a replay of it is all
 * duplicates. Throws `invalid_signature`, `forbidden` or `invalid_request`; nothing is appended then.
 */
export async function receiveSignalledBatch(
  deps: { appender: Appender; sources: Sources },
  signalled: UsageBatch,
): Promise<EventResult[]> {
  const parsed = batchSchema.safeParse(signalled);
  if (!parsed.success) {
    throw new CostplusError('invalid_request', 'The signal is not a batch of usage as this version knows it.');
  }
  const batch = parsed.data;
  const body = Buffer.from(batch.body, 'utf8');
  if (body.length > SIGNAL_BYTES) {
    throw new CostplusError('body_too_large', `A signalled batch holds at most ${SIGNAL_BYTES} bytes; use HTTP.`);
  }
  const source = await deps.sources.find(batch.source);
  if (!source || source.disabled) throw new CostplusError('forbidden', 'The source is unknown or switched off.');
  const now = Number(batch.headers['webhook-timestamp']) * 1_000;
  verifyRequest({ secrets: source.secrets, headers: { ...batch.headers }, body, now });
  const events = readUsageBody(body);
  if (events.length > SIGNAL_EVENTS_COUNT) {
    throw new CostplusError(
      'invalid_request',
      `A signalled batch holds at most ${SIGNAL_EVENTS_COUNT} events; use HTTP.`,
    );
  }
  return (await receiveEvents(deps.appender, events, source)).results;
}
