import type { Client } from '@temporalio/client';
import {
  BILLING_PERIOD_WORKFLOW,
  billingPeriodWorkflowId,
  QUERY_BATCH_RESULTS,
  SEARCH_CUSTOMER,
  SEARCH_PERIOD,
  SEARCH_STATUS,
  SIGNAL_USAGE,
  TASK_QUEUE,
  type UsageBatch,
} from '../contracts/engine.js';
import type { EventResult } from '../contracts/event-result.js';
import { ID_PATTERN } from '../contracts/patterns.js';
import { CostplusError } from '../errors/error.js';
import {
  CLIENT_CLOSE_MILLISECONDS,
  CLIENT_RESULTS_POLL_MILLISECONDS,
  SIGNAL_BYTES,
  SIGNAL_EVENTS_COUNT,
} from '../limits.js';
import { signRequest } from '../usage/request-signature.js';
import { newId } from './event-id.js';
import { prepareEvent, type UsageEventInput } from './event-input.js';

export interface SignalUsageOptions {
  customer_id: string;
  /** The start date of the billing period, `2026-11-01`: `periodStartDate` asks costplus for it. */
  start_date: string;
  /** The source that signs, and its secret (`whsec_...`). */
  source: string;
  secret: string;
  /** 1 to SIGNAL_EVENTS_COUNT events of this customer; `customer_id` may be left out of them. */
  events: (Omit<UsageEventInput, 'customer_id'> & { customer_id?: string })[];
  /** Name the batch to send the same one again after an error; the events' own ids keep them from counting twice. */
  batch_id?: string;
}

export interface SignalledUsage {
  batch_id: string;
  workflow_id: string;
  /** In the order of `events`. */
  event_ids: string[];
  /**
   * A result for each event, once the ledger has them; null when that took longer than `timeoutMs`, which says nothing
   * about the events: ask again. The workflow remembers the newest batches only.
   */
  results(timeoutMs?: number): Promise<EventResult[] | null>;
}

/**
 * Signals a small batch of signed events to the customer's billing period, starting its workflow where none runs. When
 * this resolves, the engine has the batch durably; the ledger acknowledges it with the results. Throws a
 * CostplusError before anything is sent (`invalid_request`, `invalid_event`, `body_too_large`), and what Temporal's client throws when the engine cannot be reached: then
 * nobody knows, and the same events may be signalled again.
 */
export async function signalUsage(client: Client, options: SignalUsageOptions): Promise<SignalledUsage> {
  const { customer_id, start_date, source, secret } = options;
  if (!ID_PATTERN.test(customer_id)) throw invalid('customer_id', 'customer_id is not an id');
  if (!/^\d{4}-\d{2}-\d{2}$/.test(start_date)) throw invalid('start_date', 'start_date must be a date, 2026-11-01');
  const batch_id = options.batch_id ?? newId('batch');
  const { body, event_ids } = composeBatch(options);
  const batch: UsageBatch = {
    kind: 'batch',
    batch_id,
    source,
    headers: signRequest({ secret, id: batch_id, timestamp: Math.floor(Date.now() / 1_000), body }),
    body,
  };
  const workflow_id = billingPeriodWorkflowId(customer_id, start_date);
  await client.workflow.signalWithStart(BILLING_PERIOD_WORKFLOW, {
    taskQueue: TASK_QUEUE,
    workflowId: workflow_id,
    // Usage of a finished period is late usage: a run takes it, sees that nothing else is left to do, and ends.
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    args: [{ customer_id, start_date }],
    signal: SIGNAL_USAGE,
    signalArgs: [batch],
    searchAttributes: { [SEARCH_CUSTOMER]: [customer_id], [SEARCH_PERIOD]: [start_date], [SEARCH_STATUS]: ['open'] },
  });
  const handle = client.workflow.getHandle(workflow_id);
  const results = async (timeoutMs: number = CLIENT_CLOSE_MILLISECONDS): Promise<EventResult[] | null> => {
    for (const giveUpAt = Date.now() + timeoutMs; ; ) {
      const found = await handle.query<EventResult[] | null, [string]>(QUERY_BATCH_RESULTS, batch_id);
      if (found !== null || Date.now() >= giveUpAt) return found;
      await new Promise((resolve) => setTimeout(resolve, CLIENT_RESULTS_POLL_MILLISECONDS));
    }
  };
  return { batch_id, workflow_id, event_ids, results };
}

/** The batch's JSON text, with every event checked as the server will. */
function composeBatch(options: SignalUsageOptions): { body: string; event_ids: string[] } {
  const { customer_id, events } = options;
  if (events.length < 1 || events.length > SIGNAL_EVENTS_COUNT) {
    throw invalid('events', `a batch has 1 to ${SIGNAL_EVENTS_COUNT} events; the HTTP API takes more`);
  }
  const prepared = events.map((event, i) => {
    const made = prepareEvent({ ...event, customer_id: event.customer_id ?? customer_id }, null);
    if ('rejected' in made) {
      const field = `events[${i}]${made.rejected.field.slice('event'.length)}`;
      throw new CostplusError('invalid_event', `${field} ${made.rejected.reason}`, { field });
    }
    if (made.customer_id !== customer_id) {
      throw invalid(`events[${i}].customer_id`, 'the event is of another customer than the period');
    }
    return made;
  });
  const body = `{"events":[${prepared.map(({ text }) => text).join(',')}]}`;
  if (Buffer.byteLength(body) > SIGNAL_BYTES) {
    throw new CostplusError('body_too_large', `a batch has at most ${SIGNAL_BYTES} bytes; the HTTP API takes more`);
  }
  return { body, event_ids: prepared.map(({ event_id }) => event_id) };
}

function invalid(field: string, detail: string): CostplusError {
  return new CostplusError('invalid_request', detail, { field });
}
