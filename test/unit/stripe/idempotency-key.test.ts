import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { customerKey, invoiceKey, stepKey } from '../../../src/stripe/idempotency-key.js';

describe('idempotency keys', () => {
  const step = fc.constantFrom('create', 'lines', 'finalize') as fc.Arbitrary<'create' | 'lines' | 'finalize'>;
  const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/);
  const use = fc.tuple(
    id,
    fc.integer({ min: 1, max: 3 }),
    step,
    fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
  );

  it('are the same for the same step and different for any other', () => {
    fc.assert(
      fc.property(use, use, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        expect(stepKey(...one) === stepKey(...other)).toBe(same);
        expect(stepKey(...one)).toBe(stepKey(...one));
      }),
    );
  });

  it('fit into 255 characters, and the invoice key into 500', () => {
    const longest = invoiceKey('x'.repeat(128), '2026-11-01', 2_147_483_647);
    expect(longest.length).toBeLessThanOrEqual(500);
    expect(stepKey(longest, 2_147_483_647, 'finalize', 'in_1').length).toBeLessThanOrEqual(255);
  });

  it('name revisions, periods and customers apart', () => {
    const keys = [
      invoiceKey('a', '2026-11-01', 1),
      invoiceKey('a', '2026-11-01', 2),
      invoiceKey('a', '2026-12-01', 1),
      invoiceKey('b', '2026-11-01', 1),
    ];
    expect(new Set(keys).size).toBe(4);
  });

  it('of a customer change with what is sent and with a further try', () => {
    const keys = [
      customerKey('a', { name: 'A' }),
      customerKey('a', { name: 'B' }),
      customerKey('a', { name: 'A' }, 'try 2'),
      customerKey('b', { name: 'A' }),
    ];
    expect(new Set(keys).size).toBe(4);
    expect(customerKey('a', { name: 'A' })).toBe(keys[0]);
  });
});
