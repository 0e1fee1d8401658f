import { readFile } from 'node:fs/promises';
import type { UsageFormat } from '../../contracts/usage-event.js';
import { fromResponse } from '../../usage/normalise.js';
import { DEMO_CUSTOMERS } from './customers.js';

interface Sample {
  format: UsageFormat;
  body: Record<string, unknown>;
}

const FEATURES = ['chat', 'report', 'search'];
/** Models of the samples whose body names none: there the caller knows what it called. */
const ASKED_FOR: Partial<Record<UsageFormat, string>> = {
  'aws.bedrock_converse': 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  cohere: 'command-r-08-2024',
  'google.generate_content': 'gemini-2.5-flash',
};

/** The recorded responses that stand beside this file's folder. */
async function readSamples(): Promise<Sample[]> {
  const text = await readFile(new URL('../samples/provider-bodies.json', import.meta.url), 'utf8');
  return JSON.parse(text) as Sample[];
}

/**
 * Usage events made of the recorded responses, `rounds` times over, spread over the demo's customers by weight; the
 * same events at every run but for their time.
 */
export async function demoEvents(rounds: number, occurredAt: string): Promise<Record<string, unknown>[]> {
  const samples = await readSamples();
  const customers = DEMO_CUSTOMERS.flatMap((customer) =>
    Array.from({ length: customer.weight }, () => customer.customer_id),
  );
  const events: Record<string, unknown>[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [index, { format, body }] of samples.entries()) {
      const response = fromResponse(format, body);
      if (response === null) throw new RangeError(`sample ${index} carries no usage`);
      const { model_id, provider_usage, service_tier, others = [] } = response;
      const number = round * samples.length + index;
      const event = {
        event_id: `demo-${number}`,
        // Every customer gets each sample sooner or later.
        customer_id: customers[(index + round) % customers.length],
        model_id: model_id ?? ASKED_FOR[format] ?? 'unknown',
        occurred_at: occurredAt,
        provider_usage,
        feature: FEATURES[(number * 7) % FEATURES.length],
        action_id: `run-${Math.floor(number / 5)}`,
        ...(service_tier === undefined ? {} : { service_tier }),
      };
      events.push(event);
      // A response that other models helped to make: what each of them used is an event of its own.
      for (const [helper, other] of others.entries()) {
        events.push({ ...event, ...other, event_id: `demo-${number}.${helper + 1}` });
      }
    }
  }
  return events;
}
