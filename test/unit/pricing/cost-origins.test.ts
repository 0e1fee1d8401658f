import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.js';
import { catalogVersionSchema } from '../../../src/contracts/catalog.js';
import type { HeldDecision } from '../../../src/contracts/held-decision.js';
import { type Plan, type PlanInput, planSchema } from '../../../src/contracts/plan.js';
import { add, equals, format, fromExactText, parseDecimal, sum, ZERO } from '../../../src/money/fraction.js';
import { neededAttributes } from '../../../src/plans/plan-rules.js';
import { groupCost } from '../../../src/pricing/group-cost.js';
import { mergeResults } from '../../../src/pricing/merge-results.js';
import { createPricer } from '../../../src/pricing/price-events.js';
import type { PricingInputs, PricingResult, UsageRow } from '../../../src/pricing/pricing-result.js';
import { driftFactor, isBeyondTolerance } from '../../../src/pricing/reported-drift.js';
import { periodCharge } from '../../../src/pricing/totals.js';
import { usageRow } from '../../support/usage-row.js';

const NOON = Date.parse('2026-11-24T12:00:00Z');
const price = { provider: 'p', per: 1_000_000, effective_from: '2026-01-01T00:00:00Z' };
const catalog = Catalog.fromBody(
  catalogVersionSchema.parse({
    note: 'two models, one of them with a part of its prices',
    prices: [
      { ...price, model_id: 'm', meter: 'input_tokens', price: '2' },
      { ...price, model_id: 'm', meter: 'output_tokens', price: '10' },
      { ...price, model_id: 'half', meter: 'input_tokens', price: '1' },
    ],
  }),
);

const plan = (given: Partial<PlanInput> = {}): Plan =>
  planSchema.parse({ plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.5' }], ...given });

interface Terms {
  plan?: Plan;
  decisions?: HeldDecision[];
}

function inputsOf({ plan: one = plan(), decisions = [] }: Terms): PricingInputs {
  return {
    catalog_version: 1,
    assignments: [{ plan_id: 'pro', version: 1, from: null }],
    attributes: neededAttributes([one]),
    ...(decisions.length === 0 ? {} : { decisions: decisions.map(({ decision_id }) => decision_id) }),
  };
}

function priced(rows: UsageRow[], terms: Terms = {}): PricingResult {
  const { plan: one = plan(), decisions = [] } = terms;
  const pricer = createPricer(catalog, inputsOf(terms), { plans: [one], decisions });
  for (const row of rows) pricer.add(row);
  return pricer.result();
}

const costOf = (result: PricingResult) => format(sum(result.groups.map(groupCost)));
const chargeOf = (result: PricingResult, terms: Terms = {}) =>
  format(
    periodCharge(
      {
        inputs: inputsOf(terms),
        plans: [terms.plan ?? plan()],
        span: { start_ms: 0, end_ms: 1, calendar_ms: 1 },
        counts: { actions: [] },
        to: { currency: 'usd', rates: {} },
      },
      result,
    ),
  );

const call = (given: Partial<UsageRow> = {}) =>
  usageRow({
    provider: 'p',
    model_id: 'm',
    usage: { input_tokens: 1_000_000, output_tokens: 100_000 },
    received_at_ms: NOON,
    ...given,
  });
const decision = (given: Partial<HeldDecision>): HeldDecision => ({
  decision_id: 7,
  decided_at: '2026-11-24T13:00:00.000Z',
  reason: null,
  provider: null,
  model_id: null,
  event_ids: null,
  unplaced: false,
  decision: { write_off: true },
  ...given,
});
const billAt = (meter: string, amount: string): HeldDecision['decision'] => ({
  bill: { prices: { [meter]: { price: amount, per: 1_000_000, currency: 'usd' } } },
});

describe('usage under a provider key of the customer', () => {
  const own = call({ paid_by: 'customer' });

  it('costs nothing, shows its quantities, and stands apart from the same usage that we paid for', () => {
    const result = priced([own, call()]);
    expect(costOf(result)).toBe('3');
    const groups = result.groups.map(({ price_id, meter, quantity, events }) => [price_id, meter, quantity, events]);
    expect(groups).toEqual([
      ['1.0', 'input_tokens', '1000000', 1],
      ['paid_by_customer', 'input_tokens', '1000000', 1],
      ['1.1', 'output_tokens', '100000', 0],
      ['paid_by_customer', 'output_tokens', '100000', 0],
    ]);
  });

  it('is not held for the lack of a price, or of a model', () => {
    const result = priced([call({ paid_by: 'customer', model_id: 'half' }), call({ ...own, model_id: 'unheard-of' })]);
    expect(result.held).toEqual([]);
    expect([costOf(result), chargeOf(result)]).toEqual(['0', '0']);
  });

  it('is held where its counts are impossible: they would be shown', () => {
    expect(priced([call({ paid_by: 'customer', usage: null })]).held).toMatchObject([{ reason: 'impossible_counts' }]);
  });

  it('is charged by a fee where the plan has one, once for each event', () => {
    const terms = {
      plan: plan({
        rules: [{ match: { paid_by: 'customer' }, markup: '0', fee_per_event: '0.002' }, { markup: '0.5' }],
      }),
    };
    expect(chargeOf(priced([own, own, call()], terms), terms)).toBe('4.504');
  });

  it('is never compared with its reported cost: that is what the customer pays', () => {
    const result = priced([call({ paid_by: 'customer', reported_cost: { amount: '9', currency: 'usd' } })]);
    expect(result.reported).toBeUndefined();
  });
});

describe('the reported cost of an event', () => {
  const reported = (amount: string, given: Partial<UsageRow> = {}) =>
    call({ reported_cost: { amount, currency: 'usd' }, source_id: 'gateway', ...given });
  const onReported = { plan: plan({ rules: [{ markup: '0.5', cost_basis: 'reported' }] }) };

  it("stands beside the catalog's by model and source; the catalog's is charged by default", () => {
    const result = priced([reported('3.3'), reported('2.7'), call()]);
    expect(costOf(result)).toBe('9');
    expect(result.reported).toEqual([
      {
        provider: 'p',
        model_id: 'm',
        source: 'gateway',
        catalog_currency: 'usd',
        reported_currency: 'usd',
        events: 2,
        catalog_cost: '6',
        reported_cost: '6',
      },
    ]);
  });

  it('is what is charged on where the plan says so; events without one keep the catalog', () => {
    const result = priced([reported('3.3'), call()], onReported);
    expect([costOf(result), chargeOf(result, onReported)]).toEqual(['6.3', '9.45']);
    expect(result.reported).toMatchObject([{ events: 1, catalog_cost: '3', reported_cost: '33/10' }]);
    // Quantities are shown, and each event counts once.
    const tokens = result.groups.filter(({ meter }) => meter === 'input_tokens');
    expect(sum(tokens.map(({ quantity }) => fromExactText(quantity))).n).toBe(2_000_000n);
    expect(result.groups.reduce((events, group) => events + group.events, 0)).toBe(2);
  });

  it('bills what the catalog has no price for, and only there where the plan says so', () => {
    const unknown = reported('0.25', { model_id: 'unheard-of' });
    expect(priced([unknown]).held).toMatchObject([{ reason: 'unknown_model' }]);
    const result = priced([unknown], onReported);
    expect([result.held, costOf(result), result.reported]).toEqual([[], '0.25', undefined]);
  });

  it('follows the rule that the event as a whole matches, attributes included', () => {
    const terms = {
      plan: plan({
        rules: [{ match: { source: 'gateway', provider: 'p' }, markup: '0', cost_basis: 'reported' }, { markup: '1' }],
      }),
    };
    const result = priced([reported('5'), reported('5', { source_id: 'other' })], terms);
    expect(chargeOf(result, terms)).toBe('11');
  });

  it('drifts by a factor, which is told beyond the tolerance and from enough events on', () => {
    const group = (catalogCost: string, reportedCost: string, events = 10, currency = 'usd') => ({
      provider: 'p',
      model_id: 'm',
      source: null,
      catalog_currency: 'usd',
      reported_currency: currency,
      events,
      catalog_cost: catalogCost,
      reported_cost: reportedCost,
    });
    const beyond = (...given: Parameters<typeof group>) => isBeyondTolerance(group(...given), '0.02');
    expect(beyond('100', '102')).toBe(false);
    expect(beyond('100', '98')).toBe(false);
    expect(beyond('100', '10201/100')).toBe(true);
    expect(beyond('100', '97')).toBe(true);
    expect(beyond('100', '200', 9)).toBe(false);
    expect(beyond('0', '1')).toBe(true);
    expect(beyond('0', '0')).toBe(false);
    expect(driftFactor(group('100', '200', 10, 'eur'))).toBeNull();
    expect(beyond('100', '200', 10, 'eur')).toBe(false);
  });
});

describe('a decision about held usage', () => {
  const half = call({ model_id: 'half', event_id: 'h1' });

  it('bills at the stated prices what would be held, and the rest of the event by the catalog', () => {
    const terms = { decisions: [decision({ decision: billAt('output_tokens', '20') })] };
    const result = priced([half, call()], terms);
    expect(result.held).toEqual([]);
    expect(costOf(result)).toBe('6');
    expect(result.groups.map(({ price_id, meter }) => [price_id, meter])).toContainEqual([
      'decision:7',
      'output_tokens',
    ]);
  });

  it('leaves an event held where it states no price for a meter that has none', () => {
    expect(priced([half], { decisions: [decision({ decision: billAt('images', '1') })] }).held).toHaveLength(1);
  });

  it('bills impossible counts as one request', () => {
    const terms = {
      decisions: [
        decision({
          reason: 'impossible_counts',
          decision: {
            bill: {
              prices: {
                requests: { price: '0.05', per: 1, currency: 'usd' },
              },
            },
          },
        }),
      ],
    };
    const result = priced([call({ usage: null }), half], terms);
    expect([costOf(result), result.held.length]).toEqual(['0.05', 1]);
  });

  it('writes off what would be held: never charged, and still counted', () => {
    const result = priced([half, half, call()], { decisions: [decision({})] });
    expect(result).toMatchObject({
      held: [],
      events: 3,
      written_off: [{ decision_id: 7, reason: 'no_price', events: 2 }],
    });
    expect(costOf(result)).toBe('3');
  });

  it('touches nothing else: other reasons, models, providers, events, or usage that came later', () => {
    for (const other of [
      { reason: 'unknown_model' },
      { model_id: 'm' },
      { provider: 'q' },
      { event_ids: ['h2'] },
      { decided_at: '2026-11-24T11:59:59.999Z' },
      { unplaced: true, event_ids: ['h2'] },
    ]) {
      expect(priced([half], { decisions: [decision(other)] }).held, JSON.stringify(other)).toHaveLength(1);
    }
  });

  it('gives way to a newer one about the same event', () => {
    const newer = decision({ decision_id: 8, decision: billAt('output_tokens', '0') });
    expect(priced([half], { decisions: [decision({}), newer] }).written_off).toBeUndefined();
  });

  it('about usage without a period counts when a period takes it, held or not', () => {
    const result = priced([call({ event_id: 'e1' }), call({ event_id: 'e2' })], {
      decisions: [decision({ unplaced: true, event_ids: ['e1'] })],
    });
    expect([costOf(result), result.written_off?.[0]?.events]).toEqual(['3', 1]);
  });

  it('has to be among the inputs', () => {
    expect(() => createPricer(catalog, inputsOf({}), { decisions: [decision({})] })).toThrow(RangeError);
  });
});

describe('whatever an event costs by', () => {
  const terms: Terms = {
    plan: plan({
      rules: [
        { match: { feature: 'chat' }, margin: '0.2', cost_basis: 'reported' },
        { match: { paid_by: 'customer' }, markup: '0', fee_per_event: '0.01' },
        { markup: '0.5' },
      ],
    }),
    decisions: [
      decision({ decision_id: 3, model_id: 'half', decision: billAt('output_tokens', '4') }),
      decision({ decision_id: 5, model_id: 'unheard-of' }),
    ],
  };
  const rows = fc.array(
    fc
      .record({
        model_id: fc.constantFrom('m', 'half', 'unheard-of', 'q/lost'),
        usage: fc.option(
          fc.dictionary(fc.constantFrom('input_tokens', 'output_tokens', 'images'), fc.nat(1_000), {
            maxKeys: 3,
            noNullPrototype: true,
          }),
          { freq: 10 },
        ),
        paid_by: fc.constantFrom('customer', null, null),
        feature: fc.constantFrom('chat', 'report', null),
        source_id: fc.constantFrom('gateway', null),
        reported_cost: fc.option(
          fc.record({ amount: fc.constantFrom('0', '0.125', '3'), currency: fc.constantFrom('usd', 'eur') }),
        ),
        received_at_ms: fc.constantFrom(NOON, NOON + 7_200_000),
      })
      .map((given) => call({ ...given, provider: given.model_id === 'q/lost' ? null : 'p' })),
    { maxLength: 30 },
  );

  it('no order and no batch changes the document', () => {
    fc.assert(
      fc.property(
        rows.chain((events) =>
          fc.tuple(
            fc.constant(events),
            fc.shuffledSubarray(events, { minLength: events.length }),
            fc.nat(events.length),
          ),
        ),
        ([events, shuffled, cut]) => {
          const whole = priced(events, terms);
          expect(JSON.stringify(priced(shuffled, terms))).toBe(JSON.stringify(whole));
          const [a, b] = [priced(events.slice(0, cut), terms), priced(events.slice(cut), terms)];
          expect(JSON.stringify(mergeResults(b, a))).toBe(JSON.stringify(whole));
        },
      ),
    );
  });

  it('every event is priced, held or written off, exactly once, and its cost is that of one of the three ways', () => {
    fc.assert(
      fc.property(rows, (events) => {
        const whole = priced(events, terms);
        let total = ZERO;
        let counted = 0;
        for (const event of events) {
          const alone = priced([event], terms);
          total = add(total, sum(alone.groups.map(groupCost)));
          const quantities = Object.values(event.usage ?? {}).some((quantity) => quantity !== 0);
          const places = [alone.groups, alone.held, alone.written_off ?? []].map((part) =>
            part.reduce((sofar: number, group) => sofar + group.events, 0),
          );
          expect(places.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(1);
          if (quantities) expect(places.reduce((a, b) => a + b, 0)).toBe(1);
          counted += 1;
          if (event.paid_by === 'customer') expect(costOf(alone)).toBe('0');
          else if (event.reported_cost && event.feature === 'chat' && event.usage !== null) {
            const expected = parseDecimal(event.reported_cost.amount);
            expect(equals(sum(alone.groups.map(groupCost)), expected)).toBe(true);
          }
        }
        expect(equals(sum(whole.groups.map(groupCost)), total)).toBe(true);
        expect(whole.events).toBe(counted);
      }),
    );
  });
});
