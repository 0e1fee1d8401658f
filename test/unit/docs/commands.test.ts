import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildProgram } from '../../../src/cli/command-line.js';
import { ENVIRONMENT_NAMES } from '../../../src/config.js';
import { createMetrics } from '../../../src/observability/metrics.js';
import { blocksOf, docsPages, ROOT, RUN_PAGES, readPage, tableRows } from '../../support/docs.js';

const program = buildProgram({ environment: {}, output: { out: () => undefined, error: () => undefined } });
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as { services: object };

/** Shell of a page: its blocks, and what the prose names as a command of costplus or npm. */
function shellOf(page: string): string[] {
  const prose = readPage(page).replace(/^```[\s\S]*?^```$/gm, '');
  const named = [...prose.matchAll(/`((?:costplus|npx costplus|npm) [^`]+)`/g)].map(([, command]) => command!);
  const blocks = blocksOf(page).filter(({ language }) => language === 'sh' || language === 'test');
  return [...blocks.map(({ text }) => text), ...named];
}

/** The words after each call of `program`, up to where a shell begins something else. */
function callsOf(name: string, shell: string): string[][] {
  const lines = shell.replaceAll('\\\n', ' ').replaceAll(/(^|\s)#.*$/gm, '');
  const calls = new RegExp(`(?:^|[\\s(])${name} ((?:"[^"]*"|'[^']*'|[^|;&<>)\\n"'])+)`, 'gm');
  return [...lines.matchAll(calls)].map(([, words]) => words!.trim().match(/"[^"]*"|'[^']*'|\S+/g) ?? []);
}

/** What is wrong with a call of the command line, or null. */
function faultOf(words: string[]): string | null {
  let command: Command = program;
  let at = 0;
  for (; at < words.length && command.commands.length > 0; at++) {
    const next = command.commands.find((child) => child.name() === words[at]);
    if (!next) break;
    command = next;
  }
  const call = `costplus ${words.join(' ')}`;
  if (command === program) return `${call}: there is no such command`;
  if (command.commands.length > 0 && words[at] !== undefined) return `${call}: there is no such command`;
  for (const word of words.slice(at).filter((part) => part.startsWith('--'))) {
    const known = command.options.some(({ long }) => long === word.split('=')[0]);
    if (!known && word !== '--help') return `${call}: there is no option ${word}`;
  }
  return null;
}

describe.each(docsPages())('%s', (page) => {
  const shell = shellOf(page);

  it('calls only commands and options of costplus that exist', () => {
    const calls = shell.flatMap((text) => callsOf('costplus', text));
    expect(calls.map(faultOf).filter((fault) => fault !== null)).toEqual([]);
  });

  it('calls only npm scripts that exist', () => {
    for (const [script, argument] of shell.flatMap((text) => callsOf('npm', text))) {
      if (script === 'ci' || script === 'install') continue;
      expect(Object.keys(scripts)).toContain(script === 'run' ? argument : script);
    }
  });

  it('names only services of the Compose file', () => {
    const words = shell.flatMap((text) => callsOf('docker compose', text));
    const named = words.flatMap((call) => [
      ...(['exec', 'logs', 'restart'].includes(call[0]!) ? [call[1]!] : []),
      ...call.filter((_, at) => call[at - 1] === '--scale').map((scale) => scale.split('=')[0]!),
    ]);
    for (const service of named) expect(Object.keys(services)).toContain(service);
  });

  it('names only metrics that exist', () => {
    const known = createMetrics()
      .registry.getMetricsAsArray()
      .map(({ name }) => name);
    const named = readPage(page).match(/\bcostplus_[a-z_]+(?=[\s{`)\]])/g) ?? [];
    const inMetadata = ['costplus_invoice', 'costplus_line', 'costplus_hash', 'costplus_generation'];
    expect(named.filter((name) => !inMetadata.includes(name) && !known.includes(name))).toEqual([]);
  });
});

/** Pages whose commands another test than the journey through the docs runs. */
const RUN_ELSEWHERE = [
  'docs/how-to/adjustments.md',
  'docs/how-to/approve-invoices.md',
  'docs/how-to/bring-your-own-key.md',
  'docs/how-to/change-a-plan.md',
  'docs/how-to/credits.md',
  'docs/how-to/csv-backfill.md',
  'docs/how-to/exchange-rates.md',
  'docs/how-to/explain-a-line.md',
  'docs/how-to/keep-prices-current.md',
  'docs/how-to/late-usage.md',
  'docs/how-to/litellm.md',
  'docs/how-to/month-end.md',
  'docs/how-to/non-token-costs.md',
  'docs/how-to/re-bill.md',
  'docs/how-to/resolve-held-usage.md',
  'docs/how-to/start-and-end-billing.md',
  'docs/how-to/void-usage.md',
  'docs/how-to/what-if.md',
];

describe('commands in shell blocks', () => {
  it('are run by a test, or say by a mark what they need', () => {
    for (const page of docsPages()) {
      const marks = blocksOf(page).flatMap(({ language, mark }) => (language === 'sh' ? [mark] : []));
      for (const mark of marks) expect(mark, page).toMatch(/^(install|yours|docker|title="[^"]+")?$/);
      if (marks.includes('')) expect([...RUN_PAGES, ...RUN_ELSEWHERE]).toContain(page);
    }
  });
});

describe('the calls to Stripe that a restricted key must allow', () => {
  it('are all documented, and no other', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    const made = sources.flatMap((name) =>
      [...readFileSync(join(ROOT, 'src', name), 'utf8').matchAll(/\bsdk\.(\w+(?:\.\w+)+)/g)].map(([, call]) => call!),
    );
    const page = readPage('docs/how-to/use-your-own-postgres-temporal-stripe.md');
    const rows = page.split('\n').filter((line) => /^\| [A-Z][a-z ]+: (read|write) +\|/.test(line));
    const documented = rows.flatMap((row) => [...row.matchAll(/`(\w+(?:\.\w+)+)`/g)].map(([, call]) => call!));
    expect(documented.sort()).toEqual([...new Set(made)].sort());
  });
});

describe('the configuration table of README.md', () => {
  it('has every variable that is read, and no other', () => {
    const documented = tableRows('README.md').filter(([name]) => /^[A-Z_]+$/.test(name!));
    expect(documented.map(([name]) => name).sort()).toEqual([...ENVIRONMENT_NAMES].sort());
  });

  it('says the same as the reference', () => {
    const known = tableRows('docs/reference/configuration.md').map((row) => row.join(' | '));
    const documented = tableRows('README.md').filter(([name]) => /^[A-Z_]+$/.test(name!));
    expect(documented.map((row) => row.join(' | ')).sort()).toEqual(known.sort());
  });
});
