import { describe, expect, test } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.js';
import { catalogVersionSchema } from '../../../src/contracts/catalog.js';
import { priceEvent } from '../../../src/pricing/price-event.js';
import { createPricer } from '../../../src/pricing/price-events.js';
import { usageRow } from '../../support/usage-row.js';

const price = (model_id: string, meter: string, amount: string, more: object = {}) => ({
  provider: 'p',
  model_id,
  meter,
  price: amount,
  per: 1_000_000,
  effective_from: '2026-01-01T00:00:00Z',
  ...more,
});
const catalog = Catalog.fromBody(
  catalogVersionSchema.parse({
    note: 'test',
    prices: [
      price('flat', 'input_tokens', '3'),
      price('long', 'input_tokens', '3'),
      price('long', 'output_tokens', '15'),
      price('long', 'input_tokens', '6', { context_over: 200_000 }),
      price('fee', 'output_tokens', '2'),
      price('fee', 'requests', '5000', { per_event: true }),
    ],
  }),
);

/** What the pricer and the trail make of an event: both must say the same. */
function heldBy(model_id: string, usage: Record<string, number>, marks: string[] | null): string | null {
  const row = usageRow({ provider: 'p', model_id, usage, marks });
  const pricer = createPricer(catalog, { catalog_version: catalog.version, assignments: [], attributes: [] });
  pricer.add(row);
  const inTotals = pricer.result().held[0]?.reason ?? null;
  const priced = priceEvent(catalog, row);
  const inTrail = 'held' in priced ? priced.held.reason : null;
  expect(inTotals).toBe(inTrail);
  return inTrail;
}

describe('events that are known to lack something', () => {
  const split = ['context_size_unknown', 'split_call'];

  test('are held where the price depends on it', () => {
    expect(heldBy('long', { input_tokens: 1_000 }, split)).toBe('context_size_unknown');
    // The output's price has no cliff of its own; which rows apply is decided by the input all the same.
    expect(heldBy('long', { output_tokens: 310 }, split)).toBe('context_size_unknown');
    expect(heldBy('fee', { output_tokens: 310 }, split)).toBe('split_call');
  });

  test('are priced where it does not', () => {
    expect(heldBy('flat', { input_tokens: 1_000 }, split)).toBeNull();
    expect(heldBy('long', { input_tokens: 1_000 }, ['no_lasting_id', 'byok'])).toBeNull();
    expect(heldBy('fee', { output_tokens: 310 }, ['context_size_unknown'])).toBeNull();
  });

  test('events without marks are priced as ever', () => {
    for (const model of ['flat', 'long']) expect(heldBy(model, { input_tokens: 1_000 }, null)).toBeNull();
  });
});
