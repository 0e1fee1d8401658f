import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/contracts/canonical-json.js';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { anInput, aPlan, costing } from './compose-fixtures.js';

type Input = Parameters<typeof composeInvoice>[0];
const amounts = (input: Input) => composeInvoice(input).content.lines.map((line) => `${line.kind} ${line.amount}`);
const total = (input: Input) => composeInvoice(input).content.total;

describe('usage', () => {
  it('under a 30% markup: 100.00 x 1.30 = 130.00', () => {
    const plans = [aPlan({ rules: [{ markup: '0.30' }] })];
    expect(total(anInput({ plans, groups: [costing('100')] }))).toBe('130.00');
  });

  it('under a 30% margin: 100.00 / 0.70 = 142.857142... = 142.86, kept exact beside the amount', () => {
    const plans = [aPlan({ rules: [{ margin: '0.30' }] })];
    const { content } = composeInvoice(anInput({ plans, groups: [costing('100')] }));
    expect(content.lines).toMatchObject([{ cost: '100', charge: '142.857142857142857143', amount: '142.86' }]);
    expect(content.total).toBe('142.86');
  });

  it('of all rules and meters of a group is summed exactly and rounded once: 0.004 x 3 = 0.012 = 0.01', () => {
    const groups = ['input_tokens', 'output_tokens', 'cache_read_tokens'].map((meter) => costing('0.004', { meter }));
    expect(amounts(anInput({ groups }))).toEqual(['usage 0.01']);
    // Three lines of their own: 0.004 is 0.00, three times.
    const plans = [aPlan({ lines: { group_by: ['meter'] } })];
    expect(amounts(anInput({ plans, groups }))).toEqual(['usage 0.00', 'usage 0.00', 'usage 0.00']);
  });

  it('takes its own rule for each group: 10 x 1.1 + 20 x 1.5 = 41.00 on one line', () => {
    const plans = [
      aPlan({
        rules: [{ match: { meter: 'input_tokens' }, markup: '0.1' }, { markup: '0.5' }],
        lines: { group_by: [] },
      }),
    ];
    const groups = [costing('10', { meter: 'input_tokens' }), costing('20', { meter: 'output_tokens' })];
    expect(amounts(anInput({ plans, groups }))).toEqual(['usage 41.00']);
  });

  it('is grouped by attributes and dimensions, in code unit order, those without a value first', () => {
    const plans = [aPlan({ lines: { group_by: ['dimensions.team', 'model_id'] } })];
    const groups = [
      costing('1', { attributes: ['search'], model_id: 'b' }),
      costing('2', { attributes: ['search'], model_id: 'a' }),
      costing('3', { attributes: ['Zoo'], model_id: 'z' }),
      costing('4', { attributes: [null], model_id: 'z' }),
      costing('5', { attributes: ['search'], model_id: 'B' }),
    ];
    expect(composeInvoice(anInput({ plans, groups })).content.lines.map((line) => line.group)).toEqual([
      { 'dimensions.team': null, model_id: 'z' },
      { 'dimensions.team': 'Zoo', model_id: 'z' },
      { 'dimensions.team': 'search', model_id: 'B' },
      { 'dimensions.team': 'search', model_id: 'a' },
      { 'dimensions.team': 'search', model_id: 'b' },
    ]);
  });

  it('that costs nothing is shown where events stand behind it', () => {
    const free = costing('0', { model_id: 'free-model' });
    expect(amounts(anInput({ groups: [free] }))).toEqual(['usage 0.00']);
    expect(amounts(anInput({ groups: [{ ...free, events: 0 }] }))).toEqual([]);
  });

  it('that costs something is shown without an event of its own', () => {
    // The events of a group are counted where their first meter stands.
    expect(amounts(anInput({ groups: [costing('1', { events: 0 })] }))).toEqual(['usage 1.00']);
  });

  it('counts the units of one kind, and of several the events', () => {
    const plans = [aPlan({ lines: { group_by: [] } })];
    const tokens = costing('1', { meter: 'input_tokens', quantity: '1200', events: 3 });
    const searches = costing('1', { meter: 'web_searches', quantity: '2', events: 0 });
    const line = (groups: Input['pricing']['groups']) => composeInvoice(anInput({ plans, groups })).content.lines[0];
    expect(line([tokens, { ...tokens, meter: 'output_tokens', events: 0 }])).toMatchObject({
      quantity: '2400',
      unit: 'tokens',
      events: 3,
    });
    expect(line([tokens, searches])).toMatchObject({ quantity: '3', unit: 'events', events: 3 });
  });
});

describe('a period without usage', () => {
  it('and without a fee has no lines and a total of zero', () => {
    expect(composeInvoice(anInput()).content).toMatchObject({ lines: [], total: '0.00', cost: '0', events: 0 });
    const yen = anInput({ currency: 'jpy', plans: [aPlan({ currency: 'jpy' })] });
    expect(composeInvoice(yen)).toMatchObject({ content: { total: '0' }, subtotal_minor: 0n });
  });

  it('has its fee, and no allowance line', () => {
    const plans = [aPlan({ base_fee: '49.00', allowance: { charge: '20.00' } })];
    expect(amounts(anInput({ plans }))).toEqual(['base_fee 49.00']);
  });
});

describe('a base fee with an allowance', () => {
  const plans = [aPlan({ rules: [{ markup: '0.25' }], base_fee: '49.00', allowance: { charge: '20.00' } })];

  it('and overage: 28.00 x 1.25 = 35.00; 35.00 + 49.00 - 20.00 = 64.00', () => {
    const input = anInput({ plans, groups: [costing('28')] });
    expect(amounts(input)).toEqual(['usage 35.00', 'base_fee 49.00', 'allowance -20.00']);
    expect(total(input)).toBe('64.00');
  });

  it('that is larger than the usage: 10.00 x 1.25 = 12.50; 12.50 + 49.00 - 12.50 = 49.00', () => {
    const input = anInput({ plans, groups: [costing('10')] });
    expect(amounts(input)).toEqual(['usage 12.50', 'base_fee 49.00', 'allowance -12.50']);
    expect(composeInvoice(input).content.lines[2]).toMatchObject({ charge: '-12.5', amount: '-12.50' });
    expect(total(input)).toBe('49.00');
  });

  it('covers usage of all lines, each after its rounding', () => {
    const groups = [costing('0.012', { model_id: 'a' }), costing('0.012', { model_id: 'b' })];
    // 0.012 x 1.25 = 0.015 = 0.02 on each line; the allowance takes back 0.04.
    expect(amounts(anInput({ plans, groups }))).toEqual([
      'usage 0.02',
      'usage 0.02',
      'base_fee 49.00',
      'allowance -0.04',
    ]);
  });
});

describe('a minimum and a maximum spend', () => {
  const plans = [aPlan({ base_fee: '10.00', minimum_spend: '50.00', maximum_spend: '200.00' })];

  it('tops up: 25.00 + 10.00 = 35.00; 50.00 - 35.00 = 15.00 are missing', () => {
    const input = anInput({ plans, groups: [costing('25')] });
    expect(amounts(input)).toEqual(['usage 25.00', 'base_fee 10.00', 'minimum_spend 15.00']);
    expect(total(input)).toBe('50.00');
  });

  it('does nothing between the two', () => {
    expect(amounts(anInput({ plans, groups: [costing('40')] }))).toEqual(['usage 40.00', 'base_fee 10.00']);
    expect(amounts(anInput({ plans, groups: [costing('190')] }))).toEqual(['usage 190.00', 'base_fee 10.00']);
  });

  it('cuts: 300.00 + 10.00 = 310.00; 310.00 - 200.00 = 110.00 too many', () => {
    const input = anInput({ plans, groups: [costing('300')] });
    expect(amounts(input)).toEqual(['usage 300.00', 'base_fee 10.00', 'maximum_spend -110.00']);
    expect(total(input)).toBe('200.00');
  });

  it('looks at what is left after the allowance: 60.00 - 60.00 = 0.00; 50.00 are missing', () => {
    const withAllowance = [aPlan({ allowance: { charge: '100.00' }, minimum_spend: '50.00' })];
    const input = anInput({ plans: withAllowance, groups: [costing('60')] });
    expect(amounts(input)).toEqual(['usage 60.00', 'allowance -60.00', 'minimum_spend 50.00']);
  });

  it('is due without any usage', () => {
    expect(amounts(anInput({ plans: [aPlan({ minimum_spend: '50.00' })] }))).toEqual(['minimum_spend 50.00']);
  });
});

describe('a cut period', () => {
  /** Billing starts on the 16th: 15 of 30 days. */
  const half = { period: { start: '2026-11-16T00:00:00.000Z', end: '2026-12-01T00:00:00.000Z' } };

  it('has half the fee and half the allowance: 30.00 + 49.00 / 2 - 20.00 / 2 = 44.50', () => {
    const plans = [aPlan({ base_fee: '49.00', allowance: { charge: '20.00' } })];
    const input = anInput({ ...half, plans, groups: [costing('30')] });
    expect(amounts(input)).toEqual(['usage 30.00', 'base_fee 24.50', 'allowance -10.00']);
    expect(total(input)).toBe('44.50');
  });

  it('has half the minimum and half the maximum', () => {
    const plans = [aPlan({ minimum_spend: '50.00', maximum_spend: '100.00' })];
    expect(total(anInput({ ...half, plans, groups: [costing('1')] }))).toBe('25.00');
    expect(total(anInput({ ...half, plans, groups: [costing('80')] }))).toBe('50.00');
  });

  it('counts seconds: 100.00 x 1 / 2592000 = 0.0000385... = 0.00, which is no line', () => {
    const plans = [aPlan({ base_fee: '100.00' })];
    const second = { period: { start: '2026-11-30T23:59:59.000Z', end: '2026-12-01T00:00:00.000Z' } };
    expect(amounts(anInput({ ...second, plans }))).toEqual([]);
    // 100.00 x 1000000 / 2592000 = 38.580246... = 38.58
    const more = { period: { start: '2026-11-19T10:13:20.000Z', end: '2026-12-01T00:00:00.000Z' } };
    expect(amounts(anInput({ ...more, plans }))).toEqual(['base_fee 38.58']);
  });

  it('of a calendar with 25 hours on one day has its share of the longer span: 100.00 x 24 / 721 = 3.33', () => {
    const plans = [aPlan({ base_fee: '100.00' })];
    const calendar = { from: '2026-11-01T04:00:00.000Z', to: '2026-12-01T05:00:00.000Z' };
    const day = { start: '2026-11-30T05:00:00.000Z', end: '2026-12-01T05:00:00.000Z' };
    expect(amounts(anInput({ calendar, period: day, plans }))).toEqual(['base_fee 3.33']);
  });
});

describe('a change of plan in mid-period', () => {
  const starter = aPlan({ plan_id: 'starter', base_fee: '30.00', rules: [{ markup: '0.5' }] });
  const pro = aPlan({ plan_id: 'pro', base_fee: '90.00', allowance: { charge: '20.00' }, rules: [{ markup: '0.1' }] });
  /** From the 11th on: 10 of 30 days before, 20 after. */
  const change = { plans: [starter, pro], from: [null, '2026-11-11T00:00:00.000Z'], versions: [3, 1] };

  it('charges each part by its own rules, on lines of their own, and prorates fees and allowance', () => {
    const groups = [costing('10', { segment: 0 }), costing('10', { segment: 1 })];
    const input = anInput({ ...change, groups });
    // 10 x 1.5; 10 x 1.1; 30.00 x 10/30; 90.00 x 20/30; the allowance of 20.00 x 20/30 = 13.33 meets 11.00 of usage.
    expect(amounts(input)).toEqual([
      'usage 15.00',
      'usage 11.00',
      'base_fee 10.00',
      'base_fee 60.00',
      'allowance -11.00',
    ]);
    expect(composeInvoice(input).content.lines.map((line) => line.description)).toEqual([
      'claude-sonnet-4-5-20250929 · 1 request (1 event) · starter version 3',
      'claude-sonnet-4-5-20250929 · 1 request (1 event) · pro version 1',
      'Base fee · starter version 3 · 10 of 30 days',
      'Base fee · pro version 1 · 20 of 30 days',
      'Included usage, up to 13.33 USD (prorated)',
    ]);
  });

  it('covers only usage of the part that has the allowance', () => {
    expect(amounts(anInput({ ...change, groups: [costing('10', { segment: 0 })] }))).toEqual([
      'usage 15.00',
      'base_fee 10.00',
      'base_fee 60.00',
    ]);
  });

  it('holds each part to its own minimum and maximum', () => {
    const plans = [aPlan({ plan_id: 'a', minimum_spend: '30.00' }), aPlan({ plan_id: 'b', maximum_spend: '30.00' })];
    const groups = [costing('4', { segment: 0 }), costing('50', { segment: 1 })];
    // 30.00 x 10/30 - 4.00 = 6.00 are missing; 50.00 - 30.00 x 20/30 = 30.00 are too many.
    expect(amounts(anInput({ ...change, plans, groups }))).toEqual([
      'usage 4.00',
      'usage 50.00',
      'minimum_spend 6.00',
      'maximum_spend -30.00',
    ]);
  });

  it('back to the same version is one part: its usage shares a line, and its fee is for both stretches', () => {
    const input = anInput({
      plans: [starter, pro, starter],
      from: [null, '2026-11-11T00:00:00.000Z', '2026-11-21T00:00:00.000Z'],
      versions: [3, 1, 3],
      groups: [costing('10', { segment: 0 }), costing('20', { segment: 2 })],
    });
    // (10 + 20) x 1.5; 30.00 x 20/30; 90.00 x 10/30
    expect(amounts(input)).toEqual(['usage 45.00', 'base_fee 20.00', 'base_fee 30.00']);
  });

  it('at the very end or twice at one instant leaves nothing for the plan that was never in force', () => {
    const input = anInput({
      plans: [starter, pro, starter],
      from: [null, '2026-11-11T00:00:00.000Z', '2026-11-11T00:00:00.000Z'],
      versions: [3, 1, 3],
    });
    expect(amounts(input)).toEqual(['base_fee 30.00']);
  });

  it('never cuts usage to the maximum of a plan that was in force for no time', () => {
    const input = anInput({
      plans: [aPlan({ plan_id: 'capped', maximum_spend: '10.00' }), aPlan({ plan_id: 'open' })],
      from: [null, '2026-11-01T00:00:00.000Z'],
      groups: [costing('5', { segment: 0 })],
    });
    expect(amounts(input)).toEqual(['usage 5.00']);
  });

  it('to a plan in another currency is refused', () => {
    const plans = [starter, aPlan({ plan_id: 'euro', currency: 'eur' })];
    expect(() => composeInvoice(anInput({ ...change, plans }))).toThrow(
      expect.objectContaining({ code: 'invalid_plan' }),
    );
  });
});

describe('currencies', () => {
  const inCurrency = (currency: string, groups: Input['pricing']['groups'], rates: Record<string, string>) =>
    anInput({ currency, plans: [aPlan({ currency, rules: [{ markup: '0.3' }] })], groups, exchange_rates: rates });

  it('with two decimals: 100 usd x 1.3 x 0.8612 = 111.956 = 111.96 eur, the cost stays in usd', () => {
    const { content } = composeInvoice(inCurrency('eur', [costing('100')], { usd: '0.8612' }));
    expect(content).toMatchObject({
      total: '111.96',
      cost: '100',
      cost_currency: 'usd',
      exchange_rates: { usd: '0.8612' },
      lines: [{ charge: '111.956', cost: '100' }],
    });
  });

  it('without decimals: 100 usd x 1.3 x 151.235 = 19660.55 = 19661 jpy', () => {
    const composed = composeInvoice(inCurrency('jpy', [costing('100')], { usd: '151.235' }));
    expect(composed).toMatchObject({ content: { total: '19661' }, subtotal_minor: 19661n });
  });

  it('with three decimals, the last of them 0: 10 usd x 1.3 x 0.30751 = 3.99763 = 4.000 kwd', () => {
    const composed = composeInvoice(inCurrency('kwd', [costing('10')], { usd: '0.30751' }));
    expect(composed).toMatchObject({ content: { total: '4.000' }, subtotal_minor: 4000n });
  });

  it('with decimals that must be 0: 10 usd x 1.3 x 137.9 = 1792.7 = 1793.00 isk', () => {
    const composed = composeInvoice(inCurrency('isk', [costing('10')], { usd: '137.9' }));
    expect(composed).toMatchObject({ content: { total: '1793.00' }, subtotal_minor: 179300n });
  });

  it('of several catalogs are exchanged before they are added, the cost too', () => {
    const groups = [costing('10', { currency: 'usd' }), costing('10', { currency: 'gbp', provider: 'british' })];
    const { content } = composeInvoice(inCurrency('eur', groups, { usd: '0.9', gbp: '1.2', chf: '1.1' }));
    // 10 x 0.9 + 10 x 1.2 = 21.00 of cost, x 1.3 = 27.30
    expect(content).toMatchObject({
      total: '27.30',
      cost: '21',
      cost_currency: 'eur',
      exchange_rates: { gbp: '1.2', usd: '0.9' },
    });
    expect(content.steps.slice(0, 3)).toEqual([
      { step: 'charges:gbp', amount: '13' },
      { step: 'charges:usd', amount: '13' },
      { step: 'exchange', amount: '27.3' },
    ]);
  });

  it('that are the same need no rate', () => {
    expect(total(inCurrency('usd', [costing('10')], {}))).toBe('13.00');
  });

  it.each([{}, { usd: '0' }, { eur: '1' }, JSON.parse('{"__proto__": {"usd": "1"}}')])(
    'without a rate are refused: %j',
    (rates) => {
      expect(() => composeInvoice(inCurrency('eur', [costing('10')], rates))).toThrow(
        expect.objectContaining({ code: 'no_exchange_rate' }),
      );
    },
  );
});

describe('the document', () => {
  const plans = [aPlan({ rules: [{ margin: '0.30' }], base_fee: '49.00', allowance: { charge: '20.00' } })];
  const composed = composeInvoice(anInput({ plans, groups: [costing('100', { events: 12 })] }));

  it('lists what the invoice came to after each step', () => {
    expect(composed.content.steps).toEqual([
      { step: 'charges:usd', amount: '142.857142857142857143' },
      { step: 'exchange', amount: '142.857142857142857143' },
      { step: 'rounding', amount: '142.86' },
      { step: 'folding', amount: '142.86' },
      { step: 'base_fee', amount: '191.86' },
      { step: 'advance_fee', amount: '191.86' },
      { step: 'seats', amount: '191.86' },
      { step: 'discounts', amount: '191.86' },
      { step: 'allowance', amount: '171.86' },
      { step: 'minimum_spend', amount: '171.86' },
      { step: 'maximum_spend', amount: '171.86' },
      { step: 'commitment', amount: '171.86' },
      { step: 'late_usage', amount: '171.86' },
      { step: 'adjustments', amount: '171.86' },
      { step: 'credits', amount: '171.86' },
      { step: 'total', amount: '171.86' },
    ]);
  });

  it('is hashed as the RFC 8785 text that is kept', () => {
    expect(composed.text).toBe(canonicalJson(JSON.parse(composed.text)));
    expect(JSON.parse(composed.text)).toEqual(composed.content);
    expect(composed.content_hash).toBe(createHash('sha256').update(composed.text).digest('hex'));
  });

  it('has these bytes: a change of them is a new version of the composer', () => {
    expect(composed.content.composer_version).toBe(1);
    expect(composed.content_hash).toBe('00c502cc45a508461610b45b3ea5d836db5714af8c680b49546564d814a37560');
  });

  it('names what it is of, and the plan behind each line', () => {
    expect(composed.content).toMatchObject({
      customer_id: 'acme',
      start_date: '2026-11-01',
      period: { start: '2026-11-01T00:00:00.000Z', end: '2026-12-01T00:00:00.000Z' },
      revision: 1,
      currency: 'usd',
      catalog_version: 7,
      plans: [{ plan_id: 'pro', version: 1, from: null }],
      events: 12,
      lines: [
        { kind: 'usage', plan: { plan_id: 'pro', version: 1 }, group: { model_id: 'claude-sonnet-4-5-20250929' } },
        { kind: 'base_fee', plan: { plan_id: 'pro', version: 1 }, group: {}, quantity: null, unit: null, cost: '0' },
        { kind: 'allowance', plan: null, charge: '-20', amount: '-20.00' },
      ],
    });
  });
});
