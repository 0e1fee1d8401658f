import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { blocksOf, type DocsBlock, ROOT } from '../support/docs.js';
import { missingLine } from '../support/docs-shell.js';
import { makeCustomer, publishTestCatalog, startTestApi, type TestApi, usageEvent } from '../support/http.js';
import { settle } from '../support/ledger.js';

const run = promisify(execFile);

/** What a page's comments ask for: work that a running system does by itself. */
const STEPS: Record<string, (api: TestApi) => Promise<void>> = {
  async price({ pool, deps }) {
    await settle(pool);
    const { rows } = await pool.query<{ period_id: number }>('SELECT period_id FROM periods');
    for (const { period_id } of rows) await pricePeriod({ pool, catalogs: deps.catalogs }, period_id);
  },

  async hold(api) {
    const events = [
      usageEvent('held_1', { model_id: 'claude-y' }),
      usageEvent('held_2', { model_id: 'claude-y' }),
      usageEvent('held_3', { usage: { input_tokens: 10, page_renders: 3 } }),
      usageEvent('held_4', { model_id: 'claude-z' }),
    ];
    await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events } });
    await STEPS.price!(api);
  },
};

describe.each(['resolve-held-usage', 'bring-your-own-key', 'non-token-costs'])('docs/how-to/%s.md', (name) => {
  let api: TestApi;
  let environment: NodeJS.ProcessEnv;
  let printed = '';

  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    environment = {
      ...process.env,
      COSTPLUS_URL: url,
      COSTPLUS_API_KEY: api.keys.finance,
      COSTPLUS_SERVICE_KEY: api.keys.service,
    };
  });
  afterAll(async () => api.close());

  async function follow({ language, text }: DocsBlock): Promise<void> {
    if (language === 'test') await STEPS[text]!(api);
    else if (language === 'sh') {
      // Answers end without a line break.
      const lines = text.replaceAll(/\\\n/g, ' ').split(/\n(?=curl )/);
      printed = '';
      for (const line of lines)
        printed += `${(await run('bash', ['-euc', line], { cwd: ROOT, env: environment })).stdout}\n`;
    } else expect(missingLine(printed, text), `was not printed:\n${printed}\n`).toBeNull();
  }

  it('does what it says, step by step', async () => {
    const blocks = blocksOf(`docs/how-to/${name}.md`);
    expect(blocks.filter(({ language }) => language === 'sh').length).toBeGreaterThan(2);
    for (const block of blocks) await follow(block);
  });
});
