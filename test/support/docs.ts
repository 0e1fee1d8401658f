import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Pages whose commands a test runs, one page after the other on one system, as someone who works through them has it. */
export const RUN_PAGES = [
  'docs/tutorial/first-invoice.md',
  'README.md',
  'docs/how-to/close-and-release-a-period.md',
  'docs/how-to/rotate-a-signing-secret.md',
  'docs/how-to/watch-it.md',
  'docs/how-to/recover-a-lost-engine.md',
  'docs/how-to/back-up-and-restore.md',
];

/** A fenced block of a page, or a comment that only tests read. */
export interface DocsBlock {
  /** `sh`, `text`, `json`, ...; `test` for a comment `<!-- test: ... -->`. */
  language: string;
  /**
   * What follows the language on the fence. Of `sh`: `install` is what every clone begins with, `yours` needs servers of
   * the reader's own, `docker` a Docker engine; no test runs these, and their commands are checked for being there.
   */
  mark: string;
  text: string;
  line: number;
}

/** Every page for readers, relative to the root: the README, CONTRIBUTING and all of docs. */
export function docsPages(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  return ['README.md', 'CONTRIBUTING.md', ...docs.sort()];
}

export function readPage(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** The blocks of a page in order. */
export function blocksOf(page: string): DocsBlock[] {
  const blocks: DocsBlock[] = [];
  const lines = readPage(page).split('\n');
  for (let at = 0; at < lines.length; at++) {
    const fence = /^```(\S+) ?(.*)$/.exec(lines[at]!);
    const comment = /^<!-- test:(.*)$/.exec(lines[at]!);
    if (!fence && !comment) continue;
    const line = at + 1;
    if (comment) {
      const text = [comment[1]!];
      while (!lines[at]!.includes('-->')) text.push(lines[++at]!);
      blocks.push({ language: 'test', mark: '', text: text.join('\n').replace(/-->.*/, '').trim(), line });
      continue;
    }
    const text: string[] = [];
    while (lines[++at] !== '```') {
      if (at >= lines.length) throw new Error(`${page}:${line}: the block does not end`);
      text.push(lines[at]!);
    }
    blocks.push({ language: fence![1]!, mark: fence![2]!, text: text.join('\n'), line });
  }
  return blocks;
}

/** Links of a page that lead to a file here: the target relative to the root, and the anchor after `#`. */
export function linksOf(page: string): { target: string; anchor: string | null }[] {
  const prose = readPage(page).replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path, anchor] = link.split('#') as [string, string?];
      const target = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
      return { target, anchor: anchor ?? null };
    });
}

/** Anchors that GitHub makes of a page's headings. */
export function anchorsOf(page: string): string[] {
  const prose = readPage(page).replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Rows of a page's tables whose first cell is code: the cells, without the code's marks around a whole cell. */
export function tableRows(page: string): string[][] {
  return readPage(page)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')),
    );
}
