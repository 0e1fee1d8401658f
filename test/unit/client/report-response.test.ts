import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { reportResponse } from '../../../src/client/report-response.js';
import { detectFormat, fromResponse } from '../../../src/usage/normalise.js';
import { UsageCollector } from '../../support/usage-collector.js';

const FIXTURES = new URL('../../fixtures/sse/', import.meta.url);
const bodies = readdirSync(FIXTURES)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, FIXTURES), 'utf8')) as Record<string, unknown>] as const);

describe('the usage of a response', () => {
  it.each(bodies)('of %s has counts and labels and no word of what was said', (_name, body) => {
    const found = fromResponse(detectFormat(body)!, body);
    expect(found?.provider_usage.usage).not.toEqual({});
    expect(JSON.stringify(found)).not.toContain('fox');
  });

  it('keeps no text that stands among the counts', () => {
    const usage = new UsageCollector();
    const body = {
      model: 'gpt-5',
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, note: 'the fox', content: ['the fox'] },
      choices: [{ message: { content: 'the fox' } }],
    };
    reportResponse(usage.reporter, 'openai.chat', body, { customer_id: 'acme' });
    expect(usage.only.usage).toEqual({ input_tokens: 3, output_tokens: 2 });
    expect(JSON.stringify(usage.reported)).not.toContain('fox');
  });

  it('takes the model of a body that names none from the caller', () => {
    const usage = new UsageCollector();
    const body = { usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } };
    const details = { customer_id: 'acme', region: 'eu-central-1' };
    expect(reportResponse(usage.reporter, 'aws.bedrock_converse', body, details)).toEqual([]);
    const model_id = 'eu.anthropic.claude-sonnet-4-5-v1:0';
    expect(reportResponse(usage.reporter, 'aws.bedrock_converse', body, { ...details, model_id })).toHaveLength(1);
    expect(usage.only).toMatchObject({
      model_id,
      region: 'eu-central-1',
      usage: { input_tokens: 3, output_tokens: 2 },
    });
  });

  it('gives each model of a response an event under an id made from the one given', () => {
    const usage = new UsageCollector();
    const iterations = [{ type: 'advisor_message', model: 'claude-opus-4-5', input_tokens: 9, output_tokens: 1 }];
    const body = { model: 'claude-haiku-4-5', usage: { input_tokens: 3, output_tokens: 2, iterations } };
    const ids = reportResponse(usage.reporter, 'anthropic.messages', body, { customer_id: 'acme', event_id: 'msg_1' });
    expect(ids).toEqual(['msg_1', 'msg_1.1']);
  });

  it('is no event where there is none', () => {
    const usage = new UsageCollector();
    for (const body of [null, 'text', {}, { model: 'gpt-5', usage: null }]) {
      expect(reportResponse(usage.reporter, 'openai.chat', body, { customer_id: 'acme' })).toEqual([]);
    }
  });
});
