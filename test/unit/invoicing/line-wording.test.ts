import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/contracts/canonical-json.js';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { groupDigits, type UsageWords, usageDescription } from '../../../src/invoicing/line-wording.js';
import { type Fraction, parseDecimal } from '../../../src/money/fraction.js';
import { anInput, aPlan, costing } from './compose-fixtures.js';

const words = (group: UsageWords['group'], units: Record<string, string>, events: number): UsageWords => ({
  group,
  units: new Map(Object.entries(units).map(([unit, text]): [string, Fraction] => [unit, parseDecimal(text)])),
  events,
  kind: 'usage',
  label: null,
  plan_label: null,
});

describe('a usage line says', () => {
  it.each([
    [
      'model, tokens and calls',
      words({ model_id: 'claude-sonnet-4-5-20250929' }, { tokens: '1234567' }, 12),
      'claude-sonnet-4-5-20250929 · 1,234,567 tokens (12 calls)',
    ],
    [
      'one of something',
      words({ model_id: 'gpt-5' }, { tokens: '1', searches: '1' }, 1),
      'gpt-5 · 1 search, 1 token (1 call)',
    ],
    [
      'several units by name',
      words({ model_id: 'gpt-5' }, { tokens: '12000', searches: '30', images: '2' }, 1_000),
      'gpt-5 · 2 images, 30 searches, 12,000 tokens (1,000 calls)',
    ],
    [
      'a fraction of a unit',
      words({ model_id: 'session' }, { seconds: '3600.25' }, 4),
      'session · 3,600.25 seconds (4 events)',
    ],
    [
      'values in the order of the plan',
      words({ feature: 'report', model_id: 'gpt-5' }, { tokens: '5' }, 2),
      'report · gpt-5 · 5 tokens (2 calls)',
    ],
    [
      'what the usage does not have',
      words({ 'dimensions.team': null, subscription_item_id: null }, { tokens: '5' }, 2),
      'no team · no subscription item id · 5 tokens (2 calls)',
    ],
    ['all usage as one', words({}, { requests: '7' }, 7), 'Usage · 7 requests (7 events)'],
    // An event of several meters is counted where its first one stands: the count would look wrong here.
    ['no calls between meters', words({ meter: 'output_tokens' }, { tokens: '310' }, 0), 'output tokens · 310 tokens'],
  ])('%s', (_what, given, description) => {
    expect(usageDescription(given)).toBe(description);
  });

  it('at most 500 characters: names give way, quantities stay', () => {
    const long = 'x'.repeat(200);
    const description = usageDescription(words({ model_id: long, feature: long, region: long }, { tokens: '5' }, 2));
    expect(description).toHaveLength(500);
    expect(description.endsWith('… · 5 tokens (2 calls)')).toBe(true);
  });

  it('whole characters where it is cut', () => {
    for (const filler of ['', 'a', 'ab', 'abc']) {
      const group = { feature: filler + '🧾'.repeat(120), region: '🧾'.repeat(120), 'dimensions.x': '🧾'.repeat(120) };
      const description = usageDescription(words(group, { tokens: '5' }, 2));
      expect(description.length).toBeLessThanOrEqual(500);
      expect(description.isWellFormed()).toBe(true);
      expect(() => canonicalJson(description)).not.toThrow();
    }
  });
});

describe('digits', () => {
  it.each([
    ['0', '0'],
    ['999', '999'],
    ['1000', '1,000'],
    ['1234567890123', '1,234,567,890,123'],
    ['-1234.5678', '-1,234.5678'],
    ['-123', '-123'],
  ])('%s are shown as %s', (plain, grouped) => {
    expect(groupDigits(plain)).toBe(grouped);
  });
});

describe('lines without usage say', () => {
  const descriptions = (plan: Parameters<typeof aPlan>[0], cost: string, half = false) =>
    composeInvoice(
      anInput({
        plans: [aPlan(plan)],
        groups: [costing(cost)],
        ...(half ? { period: { start: '2026-11-16T00:00:00.000Z', end: '2026-12-01T00:00:00.000Z' } } : {}),
      }),
    )
      .content.lines.slice(1)
      .map((line) => line.description);

  it('what they are, and the name of the plan where it has one', () => {
    const plan = { name: 'Pro', base_fee: '1049', allowance: { charge: '20' }, maximum_spend: '1200' };
    expect(descriptions(plan, '5000')).toEqual([
      'Base fee · Pro',
      'Included usage, up to 20.00 USD',
      'Reduction to the maximum spend of 1,200.00 USD',
    ]);
    expect(descriptions({ minimum_spend: '1000' }, '5')).toEqual(['Top-up to the minimum spend of 1,000.00 USD']);
  });

  it('for which part of the period', () => {
    expect(descriptions({ base_fee: '49', allowance: { charge: '20' } }, '50', true)).toEqual([
      'Base fee · pro · 15 of 30 days',
      'Included usage, up to 10.00 USD (prorated)',
    ]);
  });
});
