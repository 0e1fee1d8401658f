import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readServerConfig } from '../../../src/config.js';
import { DetailsLinks } from '../../../src/invoicing/details-link.js';

describe('links to the details of an invoice', () => {
  const encryptionKey = Buffer.alloc(32, 1);
  const name = { customer_id: 'acme', start_date: '2026-11-01', revision: 1 };
  const tokenOf = (links: DetailsLinks, of = name) => links.pathOf(of).split('/').at(-1)!;

  it('are the same for the same revision in every process, and another one for any other', () => {
    const [one, other] = [new DetailsLinks({ encryptionKey }), new DetailsLinks({ encryptionKey })];
    expect(one.pathOf(name)).toBe(other.pathOf(name));
    const tokens = [
      name,
      { ...name, customer_id: 'acme2' },
      { ...name, start_date: '2026-12-01' },
      { ...name, revision: 2 },
    ].map((of) => tokenOf(one, of));
    expect(new Set(tokens).size).toBe(4);
    expect(tokens.every((token) => /^[A-Za-z0-9_-]{43}$/.test(token))).toBe(true);
  });

  it('open their own revision and nothing else', () => {
    const links = new DetailsLinks({ encryptionKey });
    const token = tokenOf(links);
    expect(links.opens(name, token)).toBe(true);
    expect(links.opens({ ...name, revision: 2 }, token)).toBe(false);
    for (const wrong of ['', token.slice(1), `${token}=`, `${token}A`, 'A'.repeat(43)]) {
      expect(links.opens(name, wrong)).toBe(false);
    }
    expect(new DetailsLinks({ encryptionKey: Buffer.alloc(32, 2) }).opens(name, token)).toBe(false);
  });

  it('still open when the key was changed, while the old one is named; new links are of the new key', () => {
    const old = new DetailsLinks({ encryptionKey });
    const environment = {
      DATABASE_URL: 'postgres://localhost/x',
      TEMPORAL_ADDRESS: 'localhost:7233',
      COSTPLUS_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      PUBLIC_URL: 'https://billing.example.com',
    };
    const oldKeys = [randomBytes(32), encryptionKey].map((key) => key.toString('base64')).join(',');
    const now = DetailsLinks.of(readServerConfig({ ...environment, DETAILS_LINK_OLD_KEYS: oldKeys }));
    expect(now.opens(name, tokenOf(old))).toBe(true);
    expect(now.opens(name, tokenOf(now))).toBe(true);
    expect(tokenOf(now)).not.toBe(tokenOf(old));
    expect(DetailsLinks.of(readServerConfig(environment)).opens(name, tokenOf(old))).toBe(false);
    expect(() => readServerConfig({ ...environment, DETAILS_LINK_OLD_KEYS: 'x,y' })).toThrow('DETAILS_LINK_OLD_KEYS');
  });

  it('have an address where customers reach the API, below its path', () => {
    const at = (publicUrl?: string) => new DetailsLinks({ encryptionKey, publicUrl });
    const path = at().pathOf(name);
    expect(at().urlOf(name)).toBeNull();
    expect(at('https://billing.example.com').urlOf(name)).toBe(`https://billing.example.com${path}`);
    expect(at('https://example.com/costplus').urlOf(name)).toBe(`https://example.com/costplus${path}`);
  });
});
