import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openSecret, sealSecret } from '../../../src/sources/sealed-secret.js';

describe('a sealed secret', () => {
  const key = randomBytes(32);

  it('opens with its key for its source, and never shows the secret', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), (secret, source) => {
        const sealed = sealSecret(key, source, secret);
        expect(openSecret(key, source, sealed)).toBe(Buffer.from(secret).toString());
        if (secret.length > 4) expect(sealed.includes(secret)).toBe(false);
      }),
    );
  });

  it('is another one each time', () => {
    expect(sealSecret(key, 'a', 'x').equals(sealSecret(key, 'a', 'x'))).toBe(false);
  });

  it('does not open with another key, for another source, or with any byte changed', () => {
    const sealed = sealSecret(key, 'gateway', 'whsec_secret');
    const configuration = expect.objectContaining({ code: 'configuration' });
    const failure = (open: () => string) => {
      try {
        return open();
      } catch (error) {
        return error;
      }
    };
    expect(failure(() => openSecret(randomBytes(32), 'gateway', sealed))).toEqual(configuration);
    expect(failure(() => openSecret(key, 'other', sealed))).toEqual(configuration);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(failure(() => openSecret(key, 'gateway', changed))).toEqual(configuration);
    }
    expect(failure(() => openSecret(key, 'gateway', Buffer.alloc(0)))).toEqual(configuration);
  });
});
