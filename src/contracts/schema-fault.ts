import type { z } from 'zod';
import { ID_PATTERN } from './ids.js';

type Issue = z.core.$ZodIssue;

/**
 * The first thing that a schema refused: the JSON path of the field (`rules[0].margin`, empty for the whole body) and
 * why, in words that never repeat what was received, neither values nor names of unknown keys (invariant 6).
 */
export function schemaFault(error: z.ZodError): { field: string; reason: string } {
  const { path, reason } = firstFault(error.issues, []);
  return { field: fieldOf(path), reason };
}

function firstFault(issues: readonly Issue[], parent: PropertyKey[]): { path: PropertyKey[]; reason: string } {
  const issue = issues[0]!;
  const path = [...parent, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return { path, reason: 'has a key that is not known here' };
    case 'invalid_key':
      return { path: path.slice(0, -1), reason: 'has a key of a form that is not allowed' };
    case 'invalid_union': {
      // Of several forms the one with the fewest faults is the one that was meant; on a tie nobody knows.
      const [nearest, next] = [...issue.errors].sort((a, b) => a.length - b.length);
      const clear = nearest !== undefined && nearest.length > 0 && (!next || nearest.length < next.length);
      return clear ? firstFault(nearest, path) : { path, reason: issue.message };
    }
    default:
      return { path, reason: issue.message };
  }
}

function fieldOf(path: PropertyKey[]): string {
  return path.reduce<string>((field, part) => {
    if (typeof part === 'number') return `${field}[${part}]`;
    const name = ID_PATTERN.test(String(part)) ? String(part) : '*';
    return field === '' ? name : `${field}.${name}`;
  }, '');
}
