import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockKey, namedLockKey } from '../../../src/database/locks.js';

const SRC = join(import.meta.dirname, '../../../src');

describe('keys of advisory locks', () => {
  it('of two uses are never the same, whatever they lock', () => {
    expect(lockKey('period', 7)).not.toBe(lockKey('pricing', 7));
    const name = 'acme';
    const keys = [namedLockKey('customer', name), namedLockKey('billing', name), namedLockKey('held_request', name)];
    expect(new Set(keys.map((key) => BigInt(key) >> 56n)).size).toBe(3);
    expect(new Set(keys.map((key) => BigInt(key) & ((1n << 56n) - 1n))).size).toBe(1);
  });

  it('are made here only: no statement makes one of its own', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    expect(files.length).toBeGreaterThan(300);
    const own = files.filter((name) =>
      /hashtext|pg_advisory\w*lock\w*\(\d/.test(readFileSync(join(SRC, name), 'utf8')),
    );
    expect(own).toEqual([]);
  });
});
