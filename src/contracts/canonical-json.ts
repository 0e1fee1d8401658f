import { createHash } from 'node:crypto';

/**
 * RFC 8785 (JSON Canonicalization Scheme) text of a JSON value: keys in UTF-16 code unit order, numbers and strings as
 * ECMAScript writes them. `undefined` members are left out. Throws a TypeError for what JSON cannot carry.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('a string with a lone surrogate has no RFC 8785 form');
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('a number that JSON cannot carry');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object': {
      if (value === null) return 'null';
      if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
      const members = value as Record<string, unknown>;
      let text = '';
      for (const key of Object.keys(members).sort()) {
        const member = members[key];
        if (member === undefined) continue;
        text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
      }
      return `{${text}}`;
    }
    default:
      throw new TypeError(`JSON cannot carry a ${typeof value}`);
  }
}

/** SHA-256 of a text's UTF-8 bytes. */
export function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/** Hex SHA-256 of a value's RFC 8785 form: the content hash of plans, catalogs, pricing inputs and invoices. */
export function contentHash(value: unknown): string {
  return sha256(canonicalJson(value)).toString('hex');
}
