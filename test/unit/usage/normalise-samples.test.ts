import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { meterDirection } from '../../../src/contracts/meters.js';
import type { UsageFormat } from '../../../src/contracts/usage-event.js';
import { detectFormat, FORMAT_OWNER, fromResponse, normaliseUsage } from '../../../src/usage/normalise.js';
import { parseUsageEvent } from '../../../src/usage/parse-event.js';

interface Sample {
  format: UsageFormat;
  body: Record<string, unknown>;
}
/** One line for each sample, written out from the providers' rules and not by the code under test. */
interface Expected {
  body: number;
  format: UsageFormat;
  model_id: string | null;
  usage?: Record<string, number>;
  info?: Record<string, number>;
  service_tier?: string;
  reported_cost?: { amount: string; currency: string };
  impossible?: string;
}
const read = (path: string) => JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'));
const samples: Sample[] = read('src/dev/samples/provider-bodies.json');
const expected: Expected[] = read('test/fixtures/expected-meters.json');

/** The usage object as the body holds it, every iteration included. */
function rawUsage({ format, body }: Sample): Record<string, number> {
  return (format === 'google.generate_content' ? body.usageMetadata : body.usage) as Record<string, number>;
}

const sumOf = (usage: Record<string, number | string>, direction: 'input' | 'output') =>
  Object.entries(usage)
    .filter(([meter]) => meterDirection(meter) === direction)
    .reduce((sum, [, quantity]) => sum + Number(quantity), 0);

test('the table has a line for each of the 154 samples', () => {
  expect(expected.map((line) => line.format)).toEqual(samples.map((sample) => sample.format));
  expect(samples).toHaveLength(154);
});

describe.each(expected)('sample $body, $format of $model_id', (line) => {
  const sample = samples[line.body]!;

  test('gives exactly the meters of the table', () => {
    const { body: _body, format, model_id, ...outcome } = line;
    expect(normaliseUsage(format, rawUsage(sample), model_id)).toEqual(
      outcome.impossible === undefined ? { info: {}, ...outcome } : outcome,
    );
  });

  test('is told from its shape, and the response gives the model and the usage', () => {
    expect(detectFormat(sample.body)).toBe(line.format);
    const found = fromResponse(line.format, sample.body)!;
    expect(found.model_id).toBe(line.model_id);
    expect(found.provider_usage.format).toBe(line.format);
    if (line.impossible === undefined) expect(found.provider_usage.usage).toEqual(rawUsage(sample));
  });

  test('is accepted as the provider_usage of an event', () => {
    const event = {
      event_id: `sample-${line.body}`,
      customer_id: 'acme',
      provider: FORMAT_OWNER[line.format],
      model_id: line.model_id ?? 'named-by-the-request',
      occurred_at: '2026-11-03T11:58:00Z',
      provider_usage: { format: line.format, usage: rawUsage(sample) },
    };
    expect(parseUsageEvent(event, 'event')).toEqual({ event });
  });
});

test('the meters of a call add up to the total that the provider states', () => {
  let compared = 0;
  for (const line of expected) {
    const raw = rawUsage(samples[line.body]!);
    const total = raw.total_tokens ?? raw.totalTokens ?? raw.totalTokenCount;
    if (total === undefined || line.usage === undefined) continue;
    const normalised = normaliseUsage(line.format, raw, line.model_id);
    if ('impossible' in normalised) throw new Error(normalised.impossible);
    expect(sumOf(normalised.usage, 'input') + sumOf(normalised.usage, 'output'), `sample ${line.body}`).toBe(total);
    compared++;
  }
  expect(compared).toBe(121);
});

test('a message that another model advised becomes one usage for each model', () => {
  const found = fromResponse('anthropic.messages', samples[21]!.body)!;
  expect(normaliseUsage('anthropic.messages', found.provider_usage.usage, found.model_id)).toMatchObject({
    usage: { input_tokens: 2417, output_tokens: 133 },
  });
  expect(found.others).toHaveLength(1);
  const advisor = found.others![0]!;
  expect(advisor.model_id).toBe('claude-opus-4-8');
  expect(normaliseUsage('anthropic.messages', advisor.provider_usage.usage, advisor.model_id)).toEqual({
    usage: { input_tokens: 2529, output_tokens: 38 },
    info: {},
  });
});
