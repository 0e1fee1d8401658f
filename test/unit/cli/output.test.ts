import { describe, expect, it } from 'vitest';
import { fields, table } from '../../../src/cli/output.js';

describe('a table', () => {
  it('has columns of equal width, numbers to the right', () => {
    const rows = [
      ['acme', '12.50', null],
      ['a-longer-name', '3', 'x'],
    ];
    expect(table(['customer', 'charge', 'note'], rows)).toBe(
      ['CUSTOMER       CHARGE  NOTE', 'acme            12.50  -', 'a-longer-name       3  x', ''].join('\n'),
    );
  });

  it('does not let data steer the terminal', () => {
    const shown = table(['name'], [['\u001b[2Jgone\nnext']]);
    expect(shown).not.toContain('\u001b');
    expect(shown).toContain('gone next');
    expect(fields({ name: '\u001b]0;title\u0007' })).not.toContain('\u001b');
  });
});
