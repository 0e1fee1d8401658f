import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.js';
import { applyCommand } from '../../src/closing/commands.js';
import { type StripeStandIn, startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { StripeClient } from '../../src/stripe/client.js';
import { drivePeriod } from '../support/billing-run.js';
import { blocksOf, type DocsBlock } from '../support/docs.js';
import { missingLine } from '../support/docs-shell.js';
import { publishTestCatalog, startTestApi, type TestApi, usageEvent } from '../support/http.js';

/** A million input tokens: $3.00. */
const USAGE = { usage: { input_tokens: 1_000_000 } };

/** Pages whose commands ask the API alone: here it answers, and the engine's steps are taken when a page says so. */
describe.each([
  'start-and-end-billing',
  'change-a-plan',
  'what-if',
  'approve-invoices',
  're-bill',
  'void-usage',
  'late-usage',
  'credits',
  'adjustments',
  'exchange-rates',
  'month-end',
  'explain-a-line',
])('docs/how-to/%s.md', (name) => {
  let api: TestApi;
  let standIn: StripeStandIn;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  let printed = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'costplus-docs-'));
    standIn = await startStripeStandIn({ directory: null, environment: {} });
    api = await startTestApi({
      engine: {
        command: (period, command, body) => applyCommand(api.deps, period, command, body),
        healthy: async () => true,
      },
    });
    await publishTestCatalog(api.pool);
    const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    environment = { COSTPLUS_URL: url, COSTPLUS_API_KEY: api.keys.finance };
  });
  afterAll(async () => {
    await api?.close();
    await standIn?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** What a running system does by itself, or what customers do. */
  const send = async (days: string[], status: string, more: object[] = [{}]) => {
    const { rows } = await api.pool.query<{ customer_id: string }>('SELECT customer_id FROM customers');
    const events = rows.flatMap(({ customer_id }) =>
      days.map((day, index) =>
        usageEvent(`e${day}`, {
          ...USAGE,
          customer_id,
          occurred_at: `2026-11-${day}T00:00:00Z`,
          ...more[index % more.length],
        }),
      ),
    );
    const sent = await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events } });
    expect(sent.text.match(new RegExp(`"${status}"`, 'g'))).toHaveLength(events.length);
  };
  const steps: Record<string, () => Promise<void>> = {
    late: () => send(['02', '12'], 'late'),

    reports: () =>
      send(['02', '03', '04'], 'accepted', [{ feature: 'report' }, { feature: 'chat' }, { feature: 'chat' }]),

    usage: () => send(name === 'approve-invoices' ? ['02'] : ['02', '12'], 'accepted'),

    async bill() {
      const { pool } = api;
      const stripe = new StripeClient({
        secretKey: standIn.secretKey,
        apiBase: standIn.url,
        pool,
        callsPerSecond: 1_000,
      });
      const { rows } = await pool.query<{ customer_id: string; start_date: string }>(
        `SELECT customer_id, start_date FROM periods WHERE status IN ('closing', 'sealed', 'submitting')`,
      );
      for (const ref of rows) await drivePeriod({ ...api.deps, stripe }, ref);
    },
  };

  /** Runs the commands of a block in this process; files that the page shows stand in a folder of the reader's. */
  async function type(text: string): Promise<string> {
    const output: string[] = [];
    for (const line of text.replaceAll(/\\\n/g, ' ').split('\n')) {
      const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, '$1'));
      expect(words.splice(0, 2)).toEqual(['npx', 'costplus']);
      const args = words.map((word) => (/\.(json|csv)$/.test(word) ? join(folder, word) : word));
      const write = (part: string) => void output.push(part);
      const code = await runCommandLine(args, { environment, output: { out: write, error: write } });
      expect(code, `${line}\n${output.join('')}`).toBe(0);
    }
    return output.join('');
  }

  async function follow({ language, mark, text }: DocsBlock): Promise<void> {
    const file = /^title="(.+)"$/.exec(mark)?.[1];
    if (language === 'test') await steps[text]!();
    else if (language === 'sh') printed = mark === 'yours' ? '' : await type(text);
    else if (language === 'json' || language === 'csv') await writeFile(join(folder, file!), text);
    else expect(missingLine(printed, text), `was not printed:\n${printed}\n`).toBeNull();
  }

  it('does what it says, step by step', async () => {
    const blocks = blocksOf(`docs/how-to/${name}.md`);
    expect(blocks.filter(({ language }) => language === 'sh').length).toBeGreaterThan(2);
    for (const block of blocks) await follow(block);
  });
});
