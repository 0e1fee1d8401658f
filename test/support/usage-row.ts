import type { UsageRow } from '../../src/pricing/pricing-result.js';

/** A row of usage as pricing reads it, with what the test says and nothing else. */
export function usageRow(given: Partial<UsageRow>): UsageRow {
  return {
    event_id: 'evt',
    occurred_at_ms: Date.UTC(2026, 10, 24, 12),
    source_id: null,
    provider: null,
    provider_hint: null,
    model_id: 'model',
    usage: {},
    held_reason: null,
    feature: null,
    subscription_item_id: null,
    region: null,
    service_tier: null,
    dimensions: null,
    marks: null,
    paid_by: null,
    reported_cost: null,
    ...given,
  };
}
