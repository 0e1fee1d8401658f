import { describe, expect, it } from 'vitest';
import { clausePatterns, compileClause, patternFault } from '../../../src/catalog/match-clause.js';

describe('a match clause', () => {
  it('compares without case, except in a regex', () => {
    expect(compileClause({ equals: 'GPT-5' })('gpt-5')).toBe(true);
    expect(compileClause({ starts_with: 'Claude' })('CLAUDE-x')).toBe(true);
    expect(compileClause({ ends_with: '-Mini' })('gpt-5-mini')).toBe(true);
    expect(compileClause({ contains: 'LLAMA' })('meta/llama-4')).toBe(true);
    expect(compileClause({ regex: '^gpt-\\d$' })('gpt-5')).toBe(true);
    expect(compileClause({ regex: '^gpt-\\d$' })('GPT-5')).toBe(false);
  });

  it('joins clauses by or and by and', () => {
    const clause = { or: [{ equals: 'a' }, { and: [{ starts_with: 'b' }, { regex: 'c$' }] }] };
    expect(['a', 'bc', 'b', 'c'].map(compileClause(clause))).toEqual([true, true, false, false]);
    expect(clausePatterns(clause)).toEqual(['c$']);
  });
});

describe('a pattern of a rule', () => {
  it('is taken where its work is bounded', () => {
    for (const pattern of [
      '^a-\\d{8}$',
      '^(?!.*-[tT][tT][sS](?:$|-))',
      '^x\\[fast=true\\]$',
      '[)*+]{2}',
      '(a|b)?c.*',
    ]) {
      expect(patternFault(pattern), pattern).toBeNull();
    }
  });

  it('is refused where it could backtrack without bound', () => {
    for (const pattern of ['(a+)+$', '(a|a)*b', '(?:x{2,})+', '(a){2,5}', '.*.*.*x', '(a)\\1', '(?<n>a)\\k<n>', '(']) {
      expect(patternFault(pattern), pattern).not.toBeNull();
    }
  });
});
