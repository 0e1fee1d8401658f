import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandFailure } from '../../../src/cli/exit-codes.js';
import { registerPrice } from '../../../src/cli/price.js';
import type { HeldLine, PricedLine } from '../../../src/cli/price-line.js';
import { isDecimal } from '../../../src/money/fraction.js';

interface Ran {
  exitCode: number;
  lines: (PricedLine & HeldLine)[];
}

/** Runs `costplus price` on an input of text, buffers or generated chunks. */
async function price(input: Iterable<string | Buffer>, ...options: string[]): Promise<Ran> {
  let written = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk);
      setImmediate(done);
    },
  });
  const program = new Command();
  registerPrice(program, { input: Readable.from(input, { objectMode: true }), output });
  let exitCode = 0;
  try {
    await program.parseAsync(['price', ...options], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    exitCode = error.exitCode;
  }
  return {
    exitCode,
    lines:
      written === ''
        ? []
        : written
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line)),
  };
}

const jsonLines = (...values: unknown[]) => [values.map((value) => `${JSON.stringify(value)}\n`).join('')];

const EVENT = {
  event_id: 'evt_1',
  customer_id: 'acme',
  provider: 'anthropic',
  model_id: 'claude-sonnet-4-5-20250929',
  occurred_at: '2026-11-03T11:58:00Z',
  usage: { input_tokens: 1200, cache_read_tokens: 800, output_tokens: 310 },
};

describe('costplus price', () => {
  it('prices a usage event exactly', async () => {
    const { lines, exitCode } = await price(jsonLines(EVENT));
    expect(lines).toEqual([
      {
        id: 'evt_1',
        provider: 'anthropic',
        model_id: 'claude-sonnet-4-5-20250929',
        priced_as: 'claude-sonnet-4-5',
        catalog_version: 1,
        usage: EVENT.usage,
        // 1,200 x $3 + 800 x $0.30 and 310 x $15, per million.
        cost: { total: '0.00849', input: '0.00384', output: '0.00465', currency: 'usd' },
      },
    ]);
    expect(exitCode).toBe(0);
  });

  it('prices a response by the format named, or told from the body', async () => {
    const body = {
      id: 'msg_1',
      type: 'message',
      model: 'claude-sonnet-4-5-20250929',
      usage: { input_tokens: 1200, cache_read_input_tokens: 800, output_tokens: 310 },
    };
    const occurred_at = EVENT.occurred_at;
    const { lines } = await price(
      jsonLines({ id: 'a', format: 'anthropic.messages', occurred_at, body }, { id: 7, provider: 'anthropic', body }),
    );
    expect(lines.map(({ id, usage, cost }) => ({ id, usage, total: cost.total }))).toEqual([
      { id: 'a', usage: EVENT.usage, total: '0.00849' },
      { id: 7, usage: EVENT.usage, total: '0.00849' },
    ]);
  });

  it('counts what is neither input nor output into the total only', async () => {
    const usage = { input_tokens: 100_000, web_searches: 1 };
    const { lines } = await price(jsonLines({ ...EVENT, usage }));
    expect(lines[0]!.cost).toEqual({ total: '0.31', input: '0.3', output: '0', currency: 'usd' });
  });

  it('adds up all models that worked on one response', async () => {
    const iterations = [
      { type: 'message', input_tokens: 1_000, output_tokens: 10 },
      { type: 'advisor_message', model: 'claude-opus-4-8', input_tokens: 2_000, output_tokens: 20 },
    ];
    const body = { model: 'claude-sonnet-4-5', usage: { input_tokens: 1_000, output_tokens: 10, iterations } };
    const { lines } = await price(jsonLines({ format: 'anthropic.messages', body }));
    const [line] = lines;
    // $3 and $15 a million of the one, $5 and $25 of the other.
    expect(line!.cost).toMatchObject({ total: '0.01365', input: '0.013', output: '0.00065' });
    expect(line!.usage).toEqual({ input_tokens: 1_000, output_tokens: 10 });
    expect(line!.others).toMatchObject([{ model_id: 'claude-opus-4-8', cost: { total: '0.0105' } }]);
  });

  it('says that a call under the key of the customer costs us nothing, whether or not the model has a price', async () => {
    const body = (model: string, is_byok: boolean) => ({
      object: 'chat.completion',
      model,
      usage: { prompt_tokens: 1_000, completion_tokens: 10, total_tokens: 1_010, cost: 0.0001, is_byok },
    });
    const line = { provider: 'openrouter', occurred_at: EVENT.occurred_at };
    const { lines } = await price(
      jsonLines(
        { ...line, body: body('openai/gpt-5', true) },
        { ...line, body: body('nobody/knows', true) },
        { ...line, body: body('nobody/knows', false) },
        { ...EVENT, paid_by: 'customer' },
        { ...EVENT, paid_by: 'us' },
      ),
    );
    const nothing = { total: '0', input: '0', output: '0', currency: 'usd' };
    expect(lines).toMatchObject([
      { paid_by: 'customer', usage: { input_tokens: 1_000, output_tokens: 10 }, cost: nothing },
      { paid_by: 'customer', provider: 'openrouter', priced_as: 'nobody/knows', cost: nothing },
      { held: { reason: 'unknown_model' } },
      { paid_by: 'customer', cost: nothing },
      { cost: { total: '0.00849' } },
    ]);
    expect(lines[4]).not.toHaveProperty('paid_by');
  });

  it('prices the tier that the response says, and says so where it has no price', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'costplus-price-'));
    const row = {
      provider: 'openai',
      model_id: 'm',
      meter: 'input_tokens',
      per: 1_000,
      effective_from: '2026-01-01T00:00:00Z',
    };
    const prices = [
      { ...row, price: '4' },
      { ...row, price: '1', service_tier: 'flex' },
    ];
    await writeFile(join(folder, 'catalog.json'), JSON.stringify({ note: 'tiers', prices }));
    const body = (service_tier: string) => ({
      object: 'chat.completion',
      model: 'm',
      service_tier,
      usage: { prompt_tokens: 1_000, completion_tokens: 0, total_tokens: 1_000 },
    });
    const { lines } = await price(
      jsonLines({ body: body('flex') }, { body: body('default') }, { body: body('turbo') }),
      '--catalog',
      join(folder, 'catalog.json'),
    );
    expect(lines.map(({ cost, unpriced_tier }) => [cost.total, unpriced_tier])).toEqual([
      ['1', undefined],
      ['4', undefined],
      ['4', 'turbo'],
    ]);
    await rm(folder, { recursive: true });
  });

  it('takes the time of a line, else --at, else now', async () => {
    const { occurred_at: _, ...timeless } = {
      ...EVENT,
      provider: 'openai',
      model_id: 'o3',
      usage: { input_tokens: 1000 },
    };
    const at = (instant: string) => price(jsonLines(timeless), '--at', instant);
    expect((await at('2025-06-09T23:59:59.999Z')).lines[0]!.cost.total).toBe('0.01');
    expect((await at('2025-06-10T00:00:00Z')).lines[0]!.cost.total).toBe('0.002');
    expect((await price(jsonLines(timeless))).lines[0]!.cost.total).toBe('0.002');
    const dated = { ...timeless, occurred_at: '2025-06-01T00:00:00Z' };
    expect((await price(jsonLines(dated), '--at', '2026-01-01T00:00:00Z')).lines[0]!.cost.total).toBe('0.01');
    expect(await price(jsonLines(timeless), '--at', 'yesterday')).toEqual({ exitCode: 2, lines: [] });
  });

  it('needs no customer and no event id: they do not decide a cost', async () => {
    const { lines } = await price(jsonLines({ model_id: 'gpt-5', usage: { input_tokens: 1 } }));
    expect(lines[0]).toMatchObject({ id: null, provider: 'openai', cost: { total: '0.00000125' } });
  });

  it('says of held lines why, and ends well', async () => {
    const { lines, exitCode } = await price(
      jsonLines(
        { ...EVENT, model_id: 'claude-unheard-of', event_id: 'a' },
        { ...EVENT, usage: { moon_phases: 1 }, event_id: 'b' },
        { id: 'c', format: 'aws.bedrock_converse', body: { usage: { inputTokens: 1, outputTokens: 1 } } },
        {
          id: 'd',
          format: 'openai.chat',
          body: { model: 'gpt-5', usage: { prompt_tokens: -1, completion_tokens: 1 } },
        },
      ),
    );
    expect(lines.map(({ id, held }) => [id, held.reason])).toEqual([
      ['a', 'unknown_model'],
      ['b', 'no_price'],
      ['c', 'unknown_model'],
      ['d', 'impossible_counts'],
    ]);
    expect(lines[1]!.held.detail).toContain('moon_phases');
    expect(lines[2]!.held.detail).toContain('model_id');
    expect(exitCode).toBe(0);
  });

  it('takes the model of a response that names none from its line', async () => {
    const body = { usage: { inputTokens: 1_000, outputTokens: 100, totalTokens: 1_100 } };
    const model_id = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
    const { lines } = await price(jsonLines({ format: 'aws.bedrock_converse', model_id, body }));
    expect(lines[0]).toMatchObject({ provider: 'aws', model_id, usage: { input_tokens: 1_000, output_tokens: 100 } });
  });

  it('answers lines that cannot be read in their place, repeats nothing of them, and ends with 1', async () => {
    const secret = 'the text of a prompt';
    const { lines, exitCode } = await price([
      `{"event_id": "${secret}\n`,
      '[]\n\n',
      `${JSON.stringify({ ...EVENT, prompt: secret })}\n`,
      `${JSON.stringify({ ...EVENT, usage: { input_tokens: 0.5 } })}\n`,
      `${JSON.stringify({ id: 'r', body: { answer: secret } })}\n`,
      `${JSON.stringify({ id: 'f', format: secret, body: {} })}\n`,
      `${JSON.stringify({ id: 'o', occurred_at: secret, format: 'cohere', body: {} })}\n`,
      JSON.stringify(EVENT),
    ]);
    expect(lines.map(({ id, held }) => [id, held?.reason])).toEqual([
      [null, 'rejected'],
      [null, 'rejected'],
      ['evt_1', 'rejected'],
      ['evt_1', 'rejected'],
      ['r', 'rejected'],
      ['f', 'rejected'],
      ['o', 'rejected'],
      ['evt_1', undefined],
    ]);
    expect(JSON.stringify(lines)).not.toContain(secret);
    expect(lines[3]!.held.detail).toContain('usage.input_tokens');
    expect(exitCode).toBe(1);
  });

  it('reads characters and lines that are split between chunks', async () => {
    const bytes = Buffer.from(`${JSON.stringify({ ...EVENT, feature: 'Überblick – 要約' })}\n`.repeat(3));
    const { lines, exitCode } = await price([...bytes].map((byte) => Buffer.from([byte])));
    expect(lines.map(({ cost }) => cost.total)).toEqual(['0.00849', '0.00849', '0.00849']);
    expect(exitCode).toBe(0);
  });

  it('answers as it reads: it never holds the whole input', async () => {
    let read = 0;
    let written = 0;
    let furthest = 0;
    const chunk = `${JSON.stringify(EVENT)}\n`.repeat(100);
    const input = function* () {
      for (; read < 200; read++) {
        furthest = Math.max(furthest, read * 100 - written);
        yield chunk;
      }
    };
    const output = new Writable({
      highWaterMark: 1_024,
      write(text, _encoding, done) {
        written += String(text).split('\n').length - 1;
        setImmediate(done);
      },
    });
    const program = new Command();
    registerPrice(program, { input: Readable.from(input(), { objectMode: true, highWaterMark: 1 }), output });
    await program.parseAsync(['price'], { from: 'user' });
    expect(written).toBe(20_000);
    expect(furthest).toBeLessThan(2_000);
  });
});

describe('costplus price --catalog', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'costplus-price-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const catalogFile = async (content: unknown) => {
    const path = join(folder, 'catalog.json');
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const row = {
    provider: 'browserbase',
    model_id: 'session',
    meter: 'browser_seconds',
    price: '0.12',
    per: 3600,
    currency: 'eur',
    effective_from: '2026-01-01T00:00:00Z',
  };

  it('prices by the file alone', async () => {
    const path = await catalogFile({ note: 'ours', prices: [row] });
    const event = { ...EVENT, provider: 'browserbase', model_id: 'session', usage: { browser_seconds: '0.5' } };
    const { lines } = await price(jsonLines(event, EVENT), '--catalog', path);
    expect(lines[0]!.cost).toEqual({ total: '0.000016666666666667', input: '0', output: '0', currency: 'eur' });
    expect(lines[1]!.held.reason).toBe('unknown_model');
  });

  it('refuses a file that is no catalog', async () => {
    expect((await price([], '--catalog', join(folder, 'nowhere.json'))).exitCode).toBe(2);
    expect((await price([], '--catalog', await catalogFile('{'))).exitCode).toBe(2);
    expect((await price([], '--catalog', await catalogFile({ prices: [row] }))).exitCode).toBe(2);
    const zero = await catalogFile({ note: 'x', prices: [{ ...row, price: '0' }] });
    await expect(price([], '--catalog', zero)).rejects.toMatchObject({ code: 'invalid_catalog' });
  });
});

describe('the recorded responses of providers', () => {
  it('each get one line; only those without a model, or with one that nobody or several have, are held', async () => {
    const path = new URL('../../../src/dev/samples/provider-bodies.json', import.meta.url);
    const bodies = JSON.parse(await readFile(path, 'utf8')) as { format: string; body: unknown }[];
    const input = bodies.map((line, id) => `${JSON.stringify({ id, ...line })}\n`);
    const { lines, exitCode } = await price(input, '--at', '2026-11-24T12:00:00Z');
    expect(exitCode).toBe(0);
    expect(lines.map(({ id }) => id)).toEqual(bodies.map((_, id) => id));
    const reasons = lines.filter(({ held }) => held).map(({ held }) => `${held.reason}: ${held.detail}`);
    expect(reasons.filter((reason) => reason.includes('names no model'))).toHaveLength(18);
    expect(reasons.filter((reason) => !reason.includes('names no model')).sort()).toEqual([
      'ambiguous_provider: More than one provider has the model: name the provider.',
      'unknown_model: The catalog has no such model.',
    ]);
    for (const { cost, usage } of lines.filter(({ held }) => !held)) {
      expect([cost.total, cost.input, cost.output].every(isDecimal)).toBe(true);
      expect(Object.keys(usage).length).toBeGreaterThan(0);
    }
  });

  it('show the meters of the table, held or not; what another model did on a response stands beside it', async () => {
    const read = async (name: string) =>
      JSON.parse(await readFile(new URL(`../../../${name}`, import.meta.url), 'utf8')) as Record<string, unknown>[];
    const bodies = await read('src/dev/samples/provider-bodies.json');
    const expected = await read('test/fixtures/expected-meters.json');
    const { lines } = await price(bodies.map((line) => `${JSON.stringify(line)}\n`));
    const advised = lines.filter(({ usage, others }, at) => {
      if (expected[at]!.usage === undefined) return others?.length === 1 && Number(usage.input_tokens) > 0;
      expect(usage, `body ${at}`).toEqual(expected[at]!.usage);
      return false;
    });
    expect(advised).toHaveLength(3);
    expect(expected.filter(({ usage }) => usage === undefined)).toHaveLength(3);
  });
});
