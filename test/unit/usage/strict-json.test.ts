import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JSON_DEPTH_LEVELS } from '../../../src/limits.js';
import { parseStrictJson } from '../../../src/usage/strict-json.js';

const parse = (text: string) => parseStrictJson(Buffer.from(text, 'utf8'));

describe('parseStrictJson', () => {
  test('reads what JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
          expect(parse(text)).toEqual(JSON.parse(text));
        }
      }),
    );
  });

  test('refuses a key that stands twice in an object, wherever the object stands', () => {
    const key = fc.string({ unit: 'grapheme' }).filter((text) => text !== '__proto__');
    const value = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(fc.dictionary(key, value, { minKeys: 1 }), value, (object, other) => {
        const name = JSON.stringify(Object.keys(object)[0]);
        const twice = `${JSON.stringify(object).slice(0, -1)}, ${name}: ${JSON.stringify(other)}}`;
        for (const text of [twice, `[1, ${twice}]`, `{"events": [${twice}]}`]) {
          expect(() => parse(text)).toThrow('a key twice');
        }
      }),
    );
  });

  test.each([
    ['the same key by an escape', '{"a": 1, "\\u0061": 2}'],
    ['__proto__ twice', '{"__proto__": 1, "__proto__": 2}'],
    ['a colon and quotes in strings do not hide it', '{"a": "\\":{", "b\\\\": ":", "a": 1}'],
  ])('refuses %s', (_name, text) => {
    expect(() => parse(text)).toThrow('a key twice');
  });

  test.each([
    ['colons in strings', '{"a:b": "c:d", "e": ["f:g", "\\\\:", "\\":"]}'],
    ['an own __proto__', '{"__proto__": {"a": 1}}'],
    ['the same key in objects of their own', '[{"a": 1}, {"a": 2, "b": {"a": 3}}]'],
  ])('takes %s', (_name, text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  test.each([
    ['broken UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['an overlong sequence', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
    ['a byte order mark', Buffer.from('\ufeff{}', 'utf8')],
    ['no JSON', Buffer.from("{'a': 1}")],
    ['nothing', Buffer.alloc(0)],
  ])('refuses %s and repeats nothing of it', (_name, bytes) => {
    expect(() => parseStrictJson(bytes)).toThrow('The body is not valid JSON in UTF-8.');
  });

  test('refuses what is nested too deeply', () => {
    const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    expect(() => parse(nested(JSON_DEPTH_LEVELS))).not.toThrow();
    expect(() => parse(nested(JSON_DEPTH_LEVELS + 1))).toThrow('nested too deeply');
    expect(() => parse(nested(200_000))).toThrow();
  });
});
