import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { runCommandLine } from '../../src/cli/command-line.js';
import { CLOUD_EVENT_TYPE } from '../../src/doors/cloud-events.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { createSource } from '../../src/sources/sources.js';
import { codeOf, ROOT } from '../support/doc-code.js';
import { CALL_USAGE, litellmPayload, openrouterResponse, vercelCall } from '../support/doors.js';
import { makeCustomer, NOW, publishTestCatalog, startTestApi, type TestApi } from '../support/http.js';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const page = (name: string) => readFileSync(`${ROOT}/docs/how-to/${name}.md`, 'utf8');
/** The block of another language than TypeScript that is tagged with a file name. */
const block = (name: string, file: string) =>
  new RegExp(`^\`\`\`\\w+ title="${file}"\\n(.*?)^\`\`\``, 'ms').exec(page(name))?.[1] ?? '';

describe('the code of the how-to pages of doors', () => {
  let api: TestApi;
  let folder: string;
  let url: string;
  beforeAll(async () => {
    // The pages and what gateways say of their calls are of one day, whatever day it is.
    vi.useFakeTimers({ toFake: ['Date'], now: NOW });
    api = await startTestApi({ now: Date.now });
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    await api.call('PUT', '/v1/customers/acme', {
      body: { currency: 'usd', plan_id: 'pro', starts_at: '2026-01-01T00:00:00Z', stripe_customer_id: 'cus_acme' },
    });
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    mkdirSync(`${ROOT}/.costplus`, { recursive: true });
    folder = mkdtempSync(`${ROOT}/.costplus/docs-`);
    vi.stubEnv('COSTPLUS_URL', url);
    vi.stubEnv('COSTPLUS_API_KEY', api.keys.service);
  });
  afterAll(async () => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
    await api.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function load(name: string): Promise<Record<string, unknown>> {
    const [code] = codeOf(`how-to/${name}.md`);
    const path = join(folder, code!.file);
    writeFileSync(path, code!.code);
    return (await import(path)) as Record<string, unknown>;
  }
  const stored = async (prefix: string) =>
    (
      await api.pool.query<{
        usage: Record<string, number>;
        customer_id: string;
        model_id: string;
        marks: string[] | null;
      }>('SELECT customer_id, model_id, usage, marks FROM usage_events WHERE event_id LIKE $1 ORDER BY event_id', [
        `${prefix}%`,
      ])
    ).rows;

  it('openrouter.md reports an answer', async () => {
    const { reportOpenrouter } = await load('openrouter');
    await (reportOpenrouter as (response: unknown, customer: string) => Promise<void>)(
      openrouterResponse('gen-docs'),
      'acme',
    );
    expect(await stored('openrouter:gen-docs')).toMatchObject([{ customer_id: 'acme', usage: CALL_USAGE }]);
  });

  it('vercel-ai-gateway.md reports the steps of a result', async () => {
    const { reportVercel } = await load('vercel-ai-gateway');
    const { usage, providerMetadata, response } = vercelCall('gen_docs');
    const step = { usage, providerMetadata, response: { ...response, timestamp: new Date(response.timestamp) } };
    await (reportVercel as (steps: unknown[], customer: string, action: string) => Promise<void>)(
      [step],
      'acme',
      'run_42',
    );
    expect(await stored('vercel:gen_docs')).toMatchObject([{ customer_id: 'acme', usage: CALL_USAGE }]);
  });

  it('litellm.md configures a callback that sends to the door', async () => {
    const config = parse(block('litellm', 'config.yaml')) as {
      litellm_settings: { callbacks: string[] };
      callback_settings: Record<string, { callback_type: string; endpoint: string; headers: Record<string, string> }>;
    };
    const callback = config.callback_settings[config.litellm_settings.callbacks[0]!]!;
    expect(callback.callback_type).toBe('generic_api');
    const answer = await fetch(new URL(new URL(callback.endpoint).pathname, url), {
      method: 'POST',
      headers: {
        Authorization: callback.headers.Authorization!.replace('cp_service_...', api.keys.service),
        'content-type': 'application/json',
      },
      body: JSON.stringify([litellmPayload('docs-1')]),
    });
    expect(answer.status).toBe(200);
    expect(await stored('litellm:docs-1')).toMatchObject([{ customer_id: 'acme', usage: CALL_USAGE }]);
  });

  it("stripe-token-meter.md sends with Stripe's own package", async () => {
    await load('stripe-token-meter');
    const rows = await stored('stripe:');
    expect(rows).toMatchObject([
      { customer_id: 'acme', model_id: 'anthropic/claude-x', usage: { input_tokens: 1_200 } },
      { customer_id: 'acme', model_id: 'anthropic/claude-x', usage: { output_tokens: 310 } },
    ]);
    for (const mark of rows[0]!.marks!) expect(page('stripe-token-meter')).toContain(`| \`${mark}\` |`);
  });

  it("opentelemetry.md exports with OpenTelemetry's own SDK", async () => {
    await load('opentelemetry');
    expect(await stored('otel:')).toMatchObject([
      { customer_id: 'acme', usage: { input_tokens: 1_200, output_tokens: 310 } },
    ]);
  });

  it('cloudevents.md sends an event', async () => {
    await load('cloudevents');
    expect(page('cloudevents')).toContain(`\`${CLOUD_EVENT_TYPE}\``);
    expect(await stored('cloudevents:')).toMatchObject([
      { customer_id: 'acme', usage: { input_tokens: 1_200, output_tokens: 310 } },
    ]);
  });

  it('csv-backfill.md imports its file by its commands', async () => {
    await createSource(api.pool, api.deps.encryptionKey, { source_id: 'importer', secret: SECRET, may_backfill: true });
    const key = await createApiKey(api.pool, { role: 'service', name: 'importer', source_id: 'importer' });
    const path = join(folder, 'march.csv');
    writeFileSync(path, block('csv-backfill', 'march.csv'));
    const commands = block('csv-backfill', 'import.sh').trim().split('\n');
    expect(commands).toHaveLength(2);
    for (const command of commands) {
      const error: string[] = [];
      const args = command
        .split(' ')
        .slice(1)
        .map((arg) => (arg === 'march.csv' ? path : arg));
      const code = await runCommandLine(args, {
        environment: { COSTPLUS_URL: url, COSTPLUS_API_KEY: key, COSTPLUS_SIGNING_SECRET: SECRET },
        output: { out: () => undefined, error: (text) => void error.push(text) },
      });
      expect([code, error]).toEqual([0, []]);
    }
    const rows = (await stored('csv:')).map(({ usage }) => usage);
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({ input_tokens: 1_200, output_tokens: 310 });
    expect(rows).toContainEqual({ input_tokens: 800, output_tokens: 95 });
  });
});
