import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EVENT_MARKS } from '../../../src/contracts/event-mark.js';
import { USAGE_FORMATS } from '../../../src/contracts/patterns.js';

/** The names in the first column of the table with this head. */
function names(page: string, head: string): string[] {
  const text = readFileSync(new URL(`../../../docs/reference/${page}`, import.meta.url), 'utf8');
  const [, rows = ''] = text.split(`${head}\n`);
  return [...rows.split('\n\n')[0]!.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name!);
}

describe('docs/reference', () => {
  it('usage-formats.md has every format, and no other', () => {
    expect(names('usage-formats.md', '| format | usage object of | what it means |')).toEqual([...USAGE_FORMATS]);
  });

  it('api.md has every mark of an event, and no other', () => {
    expect(names('api.md', '| mark | meaning |')).toEqual([...EVENT_MARKS]);
  });
});
