import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ReceivedUsageEvent } from '../../../src/contracts/usage-event.js';
import { type CodeBlock, codeOf, ROOT, runnable } from '../../support/doc-code.js';
import { ProviderServer } from '../../support/provider-server.js';
import { UsageServer } from '../../support/usage-server.js';

const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const PAGES = ['report-usage-from-node', 'openai', 'anthropic', 'google', 'ai-sdk', 'temporal-signal'];
const blocks = PAGES.flatMap((page) => codeOf(`how-to/${page}.md`));
const acme = (feature?: string) =>
  expect.objectContaining({ customer_id: 'acme', ...(feature === undefined ? {} : { feature }) });

/** What costplus has after a page's code ran. The page of the engine's door runs in test/workflows. */
const EXPECTED: Record<string, unknown[]> = {
  'report.ts': [expect.objectContaining({ model_id: 'session', action_id: 'run_42' })],
  'report-response.ts': [expect.objectContaining({ provider: 'deepseek', request_id: 'chatcmpl-1' })],
  'openai.ts': [acme('chat'), acme('chat'), acme('chat'), acme('chat')],
  'anthropic.ts': [acme('report'), acme('report')],
  'google.ts': [acme('report'), acme('report'), acme('report')],
  'ai-sdk.ts': [acme('agent'), acme('agent')],
};

describe('the code of the how-to pages', () => {
  let folder: string;
  let usage: UsageServer;
  let provider: ProviderServer;

  beforeAll(async () => {
    usage = await UsageServer.start({ secret: SECRET });
    provider = await ProviderServer.start();
    mkdirSync(`${ROOT}/.costplus`, { recursive: true });
    folder = mkdtempSync(`${ROOT}/.costplus/docs-`);
    const env = {
      COSTPLUS_URL: usage.url,
      COSTPLUS_API_KEY: 'key',
      COSTPLUS_SIGNING_SECRET: SECRET,
      COSTPLUS_SPOOL: join(folder, 'spool'),
      OPENAI_API_KEY: 'key',
      OPENAI_BASE_URL: `${provider.url}/v1`,
      ANTHROPIC_API_KEY: 'key',
      ANTHROPIC_BASE_URL: provider.url,
      GEMINI_API_KEY: 'key',
      GOOGLE_GEMINI_BASE_URL: provider.url,
    };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    vi.spyOn(console, 'log').mockImplementation(() => {});
    vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
    await Promise.all([usage.stop(), provider.stop()]);
  });

  it('has the types that the package gives', async () => {
    for (const { file, code } of blocks) writeFileSync(join(folder, file), code);
    const project = join(folder, 'tsconfig.json');
    const compilerOptions = { paths: { 'costplus/client': [`${ROOT}/src/client/client.ts`] } };
    const files = blocks.map(({ file }) => join(folder, file));
    writeFileSync(project, JSON.stringify({ extends: `${ROOT}/tsconfig.json`, compilerOptions, files, include: [] }));
    const tsc = promisify(execFile)(process.execPath, [`${ROOT}/node_modules/typescript/bin/tsc`, '-p', project]);
    const { stdout } = await tsc.catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  });

  const runs = blocks.filter(({ page }) => !page.includes('temporal'));
  it.each(runs)('$page: $file reports what the page says', async ({ file, code }: CodeBlock) => {
    if (file === 'report.ts') vi.stubEnv('COSTPLUS_SIGNING_SECRET', SECRET);
    usage.events.clear();
    // Pages that do not sign talk to a server whose source does not.
    const unsigned = code.includes('COSTPLUS_SIGNING_SECRET') ? null : await UsageServer.start();
    if (unsigned) vi.stubEnv('COSTPLUS_URL', unsigned.url);
    else vi.stubEnv('COSTPLUS_URL', usage.url);
    const path = join(folder, `run-${file}`);
    writeFileSync(path, runnable(code));
    await import(path);
    const received: ReceivedUsageEvent[] = (unsigned ?? usage).received;
    await unsigned?.stop();
    expect(received).toEqual(EXPECTED[file]);
    expect(JSON.stringify(received)).not.toContain('fox');
  });

  it('is run for every page that has any', () => {
    expect(new Set(runs.map(({ file }) => file))).toEqual(new Set(Object.keys(EXPECTED)));
    expect(blocks.map(({ page }) => page)).toContain('how-to/temporal-signal.md');
  });
});

describe('the package', () => {
  it('exports the client under the name that the pages use', () => {
    const { exports } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
      exports: Record<string, { types: string; default: string }>;
    };
    expect(exports['./client']).toEqual({
      types: './dist/src/client/client.d.ts',
      default: './dist/src/client/client.js',
    });
  });

  it('loads nothing but Node for it: no server, no database, no engine', () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const imports = readFileSync(path, 'utf8').matchAll(
        /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm,
      );
      for (const [, name] of imports) {
        if (name!.startsWith('.')) visit(join(path, '..', name!.replace(/\.js$/, '.ts')));
        else packages.add(name!);
      }
    };
    visit(`${ROOT}/src/client/client.ts`);
    expect(seen.size).toBeGreaterThan(20);
    expect([...packages].filter((name) => !name.startsWith('node:'))).toEqual([]);
  });
});
