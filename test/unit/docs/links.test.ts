import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorsOf, docsPages, linksOf, ROOT } from '../../support/docs.js';

const pages = docsPages();

describe('links of the documentation', () => {
  it.each(pages)('%s: each leads to a file that is there, and to a heading of it', (page) => {
    for (const { target, anchor } of linksOf(page)) {
      expect(existsSync(join(ROOT, target)), `${page} links to ${target}`).toBe(true);
      if (anchor !== null) expect(anchorsOf(target), `${page} links to ${target}#${anchor}`).toContain(anchor);
    }
  });

  it('docs/README.md leads to every page', () => {
    const listed = linksOf('docs/README.md').map(({ target }) => target);
    for (const page of pages.filter((name) => name.startsWith('docs/') && name !== 'docs/README.md')) {
      expect(listed).toContain(page);
    }
  });
});
