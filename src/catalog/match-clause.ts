import type { MatchClause } from '../contracts/catalog.js';
import { MATCH_PATTERN_REPEATS_COUNT } from '../limits.js';

/** The test that a clause describes. Case does not count, except in a `regex`. */
export function compileClause(clause: MatchClause): (modelId: string) => boolean {
  const test = compileFolded(clause);
  return (modelId) => test(modelId, modelId.toLowerCase());
}

type FoldedTest = (modelId: string, folded: string) => boolean;

function compileFolded(clause: MatchClause): FoldedTest {
  if ('equals' in clause) {
    const text = clause.equals.toLowerCase();
    return (_, folded) => folded === text;
  }
  if ('starts_with' in clause) {
    const text = clause.starts_with.toLowerCase();
    return (_, folded) => folded.startsWith(text);
  }
  if ('ends_with' in clause) {
    const text = clause.ends_with.toLowerCase();
    return (_, folded) => folded.endsWith(text);
  }
  if ('contains' in clause) {
    const text = clause.contains.toLowerCase();
    return (_, folded) => folded.includes(text);
  }
  if ('regex' in clause) {
    const pattern = new RegExp(clause.regex);
    return (modelId) => pattern.test(modelId);
  }
  const parts = ('or' in clause ? clause.or : clause.and).map(compileFolded);
  return 'or' in clause
    ? (modelId, folded) => parts.some((test) => test(modelId, folded))
    : (modelId, folded) => parts.every((test) => test(modelId, folded));
}

/** The patterns of a clause. */
export function clausePatterns(clause: MatchClause): string[] {
  if ('regex' in clause) return [clause.regex];
  const parts = 'or' in clause ? clause.or : 'and' in clause ? clause.and : [];
  return parts.flatMap(clausePatterns);
}

/**
 * What is wrong with a pattern, or null. Rules are published data that meets names chosen by clients, so a pattern must
 * not be able to backtrack without bound: no repeated group, no back reference, few open-ended repeats.
 */
export function patternFault(pattern: string): string | null {
  try {
    new RegExp(pattern);
  } catch {
    return 'is not a regular expression';
  }
  let repeats = 0;
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    if (character === '\\') {
      if (/[1-9k]/.test(pattern[i + 1] ?? '')) return 'has a back reference';
      i++;
    } else if (inClass) {
      inClass = character !== ']';
    } else if (character === '[') {
      inClass = true;
    } else if (character === ')' && /[*+{]/.test(pattern[i + 1] ?? '')) {
      return 'repeats a group';
    } else if (character === '*' || character === '+' || /^\{\d+,/.test(pattern.slice(i))) {
      repeats++;
    }
  }
  return repeats > MATCH_PATTERN_REPEATS_COUNT
    ? `repeats more than ${MATCH_PATTERN_REPEATS_COUNT} times without a fixed count`
    : null;
}
