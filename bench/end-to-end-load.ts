import { randomInt, randomUUID } from 'node:crypto';
import { signRequest } from '../src/usage/request-signature.js';

/** What the load generator is told, as JSON in its one argument. */
export interface LoadOrder {
  api_url: string;
  key: string;
  secret: string;
  customers: number;
  events: number;
  batch: number;
  senders: number;
}

const MODELS = ['claude-sonnet-4-5-20250929', 'gpt-4o-2024-08-06', 'gemini-2.5-flash', 'mistral-large-latest'];

/** A batch as text; made by hand, since the generator shares the machine with what it measures. */
function body(order: LoadOrder, from: number, occurredAt: string): string {
  const events: string[] = [];
  for (let i = from; i < from + order.batch; i++) {
    events.push(
      `{"event_id":"e${i}","customer_id":"bench-${randomInt(order.customers)}","model_id":"${MODELS[i % MODELS.length]}",` +
        `"occurred_at":"${occurredAt}","usage":{"input_tokens":${1_000 + (i % 977)},"cache_read_tokens":${i % 811},"output_tokens":${100 + (i % 499)}},` +
        `"feature":"chat","action_id":"run-${Math.floor(i / 5)}"}`,
    );
  }
  return `{"events":[${events.join(',')}]}`;
}

/** Sends all batches with a few requests under way at once and prints how long that took, in ms. */
async function send(order: LoadOrder): Promise<void> {
  const occurredAt = new Date().toISOString();
  let next = 0;
  const sender = async () => {
    for (let from = next; from < order.events; from = next) {
      next += order.batch;
      const text = body(order, from, occurredAt);
      const signed = signRequest({
        secret: order.secret,
        id: randomUUID(),
        timestamp: Math.floor(Date.now() / 1_000),
        body: text,
      });
      const response = await fetch(`${order.api_url}/v1/usage`, {
        method: 'POST',
        headers: { authorization: `Bearer ${order.key}`, 'content-type': 'application/json', ...signed },
        body: text,
      });
      if (response.status === 503) {
        await response.arrayBuffer();
        next = Math.min(next, from);
        await new Promise((resolve) => setTimeout(resolve, 100));
      } else if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      else await response.arrayBuffer();
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: order.senders }, sender));
  process.stdout.write(`${JSON.stringify({ sent_ms: performance.now() - started })}\n`);
}

await send(JSON.parse(process.argv[2] ?? '{}') as LoadOrder);
