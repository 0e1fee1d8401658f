import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureBundledCatalog } from '../../src/catalog/publish.js';
import { runCommandLine } from '../../src/cli/command-line.js';
import { EXIT_OK } from '../../src/cli/exit-codes.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { blocksOf } from '../support/docs.js';
import { startTestApi, type TestApi } from '../support/http.js';

const PAGE = 'docs/how-to/keep-prices-current.md';
const blocks = blocksOf(PAGE);
const titled = (title: string) => blocks.find(({ mark }) => mark === `title="${title}"`)!.text;

describe(PAGE, () => {
  let api: TestApi;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    api = await startTestApi();
    await ensureBundledCatalog(api.pool);
    folder = await mkdtemp(join(tmpdir(), 'costplus-docs-'));
    const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    environment = { COSTPLUS_URL: url, COSTPLUS_API_KEY: api.keys.finance, COSTPLUS_HOME: folder };
    await writeFile(join(folder, 'prices.json'), titled('prices.json'));
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  async function run(command: string): Promise<string> {
    const words = command.replace('prices.json', join(folder, 'prices.json')).split(' ').slice(1);
    const written: string[] = [];
    const output = { out: (text: string) => void written.push(text), error: (text: string) => void written.push(text) };
    expect(await runCommandLine(words, { environment, output }), written.join('')).toBe(EXIT_OK);
    return written.join('');
  }

  it('says what its commands print', async () => {
    const [first, second] = blocks.filter(({ language, mark }) => language === 'sh' && mark === '');
    const printed = await run(first!.text);
    for (const line of blocks.find(({ language }) => language === 'text')!.text.split('\n')) {
      expect(printed).toContain(line);
    }
    await writeFile(join(folder, 'prices.json'), titled('prices.json').replace('0.25,', '2.5e-07,'));
    const answers: string[] = [];
    for (const command of second!.text.split('\n')) answers.push(await run(command));
    const [proposed, list, published, price, versions] = answers;
    expect(proposed).toMatch(/proposal\s+1\n/);
    expect(proposed).toMatch(/suspicious\s+0\n/);
    expect(list).toMatch(/\n\s*1\s+litellm\s+proposed\s+2026-12-01/);
    expect(published).toMatch(/published as\s+version 2\n/);
    expect(price).toMatch(/output_tokens\s+0\.000008\s+1\s+usd/);
    expect(price).toMatch(/input_tokens\s+0\.000000625\s+1\s+usd\s+-\s+-\s+flex/);
    expect(versions).toMatch(/\n\s*2\s.*litellm/);
  });

  it('compares with a server’s catalog too, and shows its models', async () => {
    const answer = await run(
      `costplus catalog diff --source litellm --file prices.json --url ${environment.COSTPLUS_URL}`,
    );
    expect(answer).toMatch(/catalog version\s+2\n/);
    expect(await run('costplus catalog models --deprecated --limit 3')).toMatch(/PROVIDER.*\n.*deprecated/);
  });

  it('shows a version that can be published', async () => {
    const body = JSON.parse(titled('version.json')) as unknown;
    expect(catalogVersionSchema.safeParse(body).success).toBe(true);
    const made = await api.call('POST', '/v1/catalog/versions', { body });
    expect(made.status, made.text).toBe(201);
  });
});
