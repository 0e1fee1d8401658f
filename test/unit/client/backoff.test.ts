import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, retryAfterMs } from '../../../src/client/backoff.js';
import {
  CLIENT_BACKOFF_FIRST_MILLISECONDS,
  CLIENT_BACKOFF_LAST_MILLISECONDS,
  CLIENT_RETRY_AFTER_MAX_SECONDS,
} from '../../../src/limits.js';

describe('full jitter', () => {
  it('stays between nothing and a bound that doubles up to the last one', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), random, (failures, r) => {
        const ms = backoffMs(failures, r);
        expect(ms).toBeGreaterThanOrEqual(0);
        const bound = CLIENT_BACKOFF_FIRST_MILLISECONDS * 2 ** (failures - 1);
        expect(ms).toBeLessThan(Math.min(bound, CLIENT_BACKOFF_LAST_MILLISECONDS));
      }),
    );
  });

  it('may be no pause at all, and nearly the whole bound', () => {
    expect(backoffMs(3, 0)).toBe(0);
    expect(backoffMs(3, 0.999999)).toBe(CLIENT_BACKOFF_FIRST_MILLISECONDS * 4 - 1);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');

  it.each([
    ['seconds', '7', 7_000],
    ['an HTTP date', 'Tue, 24 Nov 2026 12:00:30 GMT', 30_000],
    ['a date that has passed', 'Tue, 24 Nov 2026 11:00:00 GMT', 0],
    ['more than an hour, cut', '86400', CLIENT_RETRY_AFTER_MAX_SECONDS * 1_000],
    ['nonsense', 'soon', null],
  ])('%s', (_name, header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });

  it('is nothing where there is none', () => {
    expect(retryAfterMs(null, now)).toBeNull();
  });
});
