import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.js';
import { catalogVersionSchema } from '../../../src/contracts/catalog.js';
import { mergeResults } from '../../../src/pricing/merge-results.js';
import { createPricer } from '../../../src/pricing/price-events.js';
import type { UsageRow } from '../../../src/pricing/pricing-result.js';
import { usageRow } from '../../support/usage-row.js';

const price = (provider: string, model_id: string, more: object = {}) => ({
  provider,
  model_id,
  meter: 'input_tokens',
  price: '3',
  per: 1_000_000,
  effective_from: '2026-01-01T00:00:00Z',
  ...more,
});
const catalog = Catalog.fromBody(
  catalogVersionSchema.parse({
    note: 'test',
    prices: [price('p', 'm'), price('p', 'm', { price: '1.5', service_tier: 'batch' }), price('q', 'only-here')],
    aliases: [{ provider: 'p', alias: 'm-latest', model_id: 'm' }],
    match_rules: [{ provider: 'p', clause: { starts_with: 'm-2026' }, model_id: 'm' }],
  }),
);

function priced(rows: UsageRow[]) {
  const pricer = createPricer(catalog, { catalog_version: catalog.version, assignments: [], attributes: [] });
  for (const row of rows) pricer.add(row);
  return pricer.result();
}
const call = (given: Partial<UsageRow>) => usageRow({ provider: 'p', usage: { input_tokens: 10 }, ...given });

describe('priced usage to look through', () => {
  it('is what an alias, a rule or another provider priced, and what has a tier without a price', () => {
    const { review, groups } = priced([
      call({ model_id: 'm' }),
      call({ model_id: 'm', service_tier: 'standard' }),
      call({ model_id: 'm', service_tier: 'batch' }),
      call({ model_id: 'm', service_tier: 'turbo' }),
      call({ model_id: 'm-latest' }),
      call({ model_id: 'm-20260401' }),
      call({ model_id: 'm-20260401', service_tier: 'turbo' }),
      call({ model_id: 'm-20260401' }),
      call({ model_id: 'only-here', provider: null, provider_hint: 'p' }),
    ]);
    expect(groups.reduce((events, group) => events + group.events, 0)).toBe(9);
    expect(review).toEqual([
      { provider: 'p', model_id: 'm', priced_as: 'm', how: 'exact', unpriced_tier: 'turbo', events: 1 },
      { provider: 'p', model_id: 'm-20260401', priced_as: 'm', how: 'rule', unpriced_tier: null, events: 2 },
      { provider: 'p', model_id: 'm-20260401', priced_as: 'm', how: 'rule', unpriced_tier: 'turbo', events: 1 },
      { provider: 'p', model_id: 'm-latest', priced_as: 'm', how: 'alias', unpriced_tier: null, events: 1 },
      {
        provider: 'q',
        model_id: 'only-here',
        priced_as: 'only-here',
        how: 'fallback_provider',
        unpriced_tier: null,
        events: 1,
      },
    ]);
  });

  it('is left out where every price was found by its exact name', () => {
    expect(priced([call({ model_id: 'm' })])).not.toHaveProperty('review');
  });

  it('has neither what is held nor what the customer paid for', () => {
    const held = call({ model_id: 'm-latest', usage: { input_tokens: 1, images: 1 } });
    const own = call({ model_id: 'm-latest', paid_by: 'customer' });
    expect(priced([held, own])).not.toHaveProperty('review');
  });

  it('does not depend on order or batches', () => {
    const rows = ['m-latest', 'm-20260401', 'm', 'm-latest'].map((model_id, at) =>
      call({ model_id, service_tier: at % 2 === 0 ? 'turbo' : null }),
    );
    const whole = JSON.stringify(priced(rows));
    for (let cut = 0; cut <= rows.length; cut++) {
      const parts = [priced(rows.slice(cut)), priced(rows.slice(0, cut))] as const;
      expect(JSON.stringify(mergeResults(...parts))).toBe(whole);
    }
    expect(JSON.stringify(priced([...rows].reverse()))).toBe(whole);
  });
});
