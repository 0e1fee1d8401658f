import fc from 'fast-check';
import type { PlanInput, RuleMatch } from '../../../../src/contracts/plan.js';

/* Plans with any mix of elements, as finance would write them down. */

type Rule = PlanInput['rules'][number];

const decimal = (most: number) =>
  fc.tuple(fc.nat(most), fc.constantFrom(2, 2, 3)).map(([n, places]) => {
    const text = `${n}`.padStart(places + 1, '0');
    return `${text.slice(0, -places)}.${text.slice(-places)}`;
  });
const amount = decimal(20_000);
const per = fc.constantFrom(1, 1, 3, 10);
const maybe = <T, Key extends string>(key: Key, arbitrary: fc.Arbitrary<T>) =>
  fc
    .option(arbitrary, { nil: undefined })
    .map((value) => (value === undefined ? {} : { [key]: value })) as fc.Arbitrary<Partial<Record<Key, T>>>;
/** Objects one after the other in one. */
function together<A extends object, B extends object, C extends object = object, D extends object = object>(
  a: fc.Arbitrary<A>,
  b: fc.Arbitrary<B>,
  c?: fc.Arbitrary<C>,
  d?: fc.Arbitrary<D>,
): fc.Arbitrary<A & B & C & D> {
  const nothing = fc.constant({});
  return fc.tuple(a, b, c ?? nothing, d ?? nothing).map((parts) => Object.assign({}, ...parts) as A & B & C & D);
}

const word: fc.Arbitrary<{ markup: string } | { margin: string }> = fc.oneof(
  decimal(3_000).map((markup) => ({ markup })),
  fc.nat(99).map((n) => ({ margin: `0.${`${n}`.padStart(2, '0')}` })),
);
const fees = together(maybe('fee_per_event', decimal(300)), maybe('fee_per_action', decimal(900)));
const unitBounds = fc.option(fc.tuple(fc.nat(900), fc.nat(900), per), { nil: undefined }).chain((pair) => {
  if (pair === undefined) return fc.constant({});
  const [a, b, units] = pair;
  const bound = (n: number) => ({ price: `${Math.floor(n / 100)}.${`${n % 100}`.padStart(2, '0')}`, per: units });
  return fc.constantFrom(
    { floor_per_unit: bound(Math.min(a, b)) },
    { cap_per_unit: bound(Math.max(a, b)) },
    { floor_per_unit: bound(Math.min(a, b)), cap_per_unit: bound(Math.max(a, b)) },
  );
});

const tiers = (most: number) =>
  fc
    .tuple(
      fc.integer({ min: 1, max: most }),
      fc.integer({ min: 1, max: most }),
      fc.array(fc.tuple(decimal(300), per, maybe('flat_fee', decimal(900))), { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '.5'),
    )
    .map(([first, more, prices, half]) =>
      prices.map(([price, units, fee], index) => ({
        ...(index === prices.length - 1 ? {} : { up_to: index === 0 ? `${first}` : `${first + more}${half}` }),
        price,
        per: units,
        ...fee,
      })),
    );
/** A price that does not depend on cost, of what is counted. */
const ownPrice = (count: 'units' | 'events' | 'actions') => {
  const most = count === 'units' ? 60 : 4;
  return fc
    .oneof(
      fc.record({ unit_price: decimal(500), per }),
      fc.record({ size: fc.integer({ min: 1, max: most }), price: decimal(900) }).map(({ size, price }) => ({
        package: { size: `${size}`, price },
      })),
      tiers(most).map((graduated) => ({ graduated })),
      tiers(most).map((volume) => ({ volume })),
    )
    .map((price) => ({ ...price, count }));
};
const flat = decimal(9_000).map((price) => ({ flat: price }));

const PAGES = { match: { meter: ['pages', 'annotated_pages'] } };
const pagesRule: fc.Arbitrary<Rule> = fc.oneof(
  together(fc.constant(PAGES), word, fees, unitBounds),
  together(fc.constant(PAGES), ownPrice('units')),
  together(fc.constant({ match: { meter: 'pages', model_id: 'a' } }), word, fees, unitBounds),
);
const featureRule = (match: object): fc.Arbitrary<Rule> =>
  fc.oneof(
    together(fc.constant({ match }), word, fees),
    together(fc.constant({ match, cost_basis: 'reported' as const }), word, fees),
    together(fc.constant({ match }), ownPrice('events')),
    together(fc.constant({ match }), ownPrice('actions')),
    together(fc.constant({ match }), flat),
  );
const rest: fc.Arbitrary<Rule> = fc.oneof(
  together(word, fees),
  together(fc.constant({ cost_basis: 'reported' as const }), word, fees),
  fc.record({ unit_price: decimal(500), per, count: fc.constant('events' as const) }),
);
const rules = fc
  .tuple(
    fc.option(pagesRule, { nil: null }),
    fc.option(featureRule({ feature: 'chat' }), { nil: null }),
    fc.option(featureRule({ feature: ['report', 'search'], region: 'eu' }), { nil: null }),
    fc.option(featureRule({ paid_by: 'customer' }), { nil: null, freq: 1 }),
    rest,
  )
  .map((all) => all.filter((rule) => rule !== null));

const rollover = fc.oneof(
  fc.constant({}),
  fc.constant({ rollover: true }),
  decimal(5_000).map((rollover_limit) => ({ rollover: true, rollover_limit })),
);
const quantity = (most: number) => fc.integer({ min: 1, max: most }).map((n) => `${n}`);
const allowance = fc
  .tuple(
    fc.option(
      together(
        amount.map((charge) => ({ charge })),
        rollover,
      ),
      { nil: null },
    ),
    fc.option(
      together(
        amount.map((credits) => ({ credits })),
        rollover,
      ),
      { nil: null },
    ),
    fc.option(
      together(
        quantity(80).map((pages) => ({ quantity: pages, match: { meter: 'pages' } })),
        rollover,
      ),
      { nil: null },
    ),
    fc.option(
      together(
        fc.record({
          quantity: quantity(4),
          count: fc.constantFrom('events' as const, 'actions' as const),
          match: fc.constantFrom<RuleMatch[]>({ feature: 'chat' }, { feature: ['chat', 'report'], model_id: 'a' }, {}),
        }),
        rollover,
      ),
      { nil: null },
    ),
  )
  .map((all) => all.filter((one) => one !== null));

const instant = fc.nat(90 * 86_400).map((seconds) => new Date(Date.UTC(2026, 10, 1) + seconds * 1_000).toISOString());
const discount = fc
  .record({
    name: fc.constantFrom('Partner', 'Trial'),
    on: fc.constantFrom('all' as const, 'usage' as const, 'fees' as const),
    off: fc.oneof(
      fc.nat(100).map((n) => ({ percent: n === 100 ? '1' : `0.${`${n}`.padStart(2, '0')}` })),
      amount.map((off) => ({ amount: off })),
    ),
    dates: fc.option(fc.uniqueArray(instant, { minLength: 1, maxLength: 2 }), { nil: [] }),
    isFrom: fc.boolean(),
  })
  .map(({ off, dates, isFrom, ...head }) => {
    const [first, second] = dates.toSorted();
    if (first === undefined) return { ...head, ...off };
    if (second !== undefined) return { ...head, ...off, from: first, to: second };
    return { ...head, ...off, ...(isFrom ? { from: first } : { to: first }) };
  });

const baseFee = fc.oneof(
  amount,
  fc.record({ amount, timing: fc.constantFrom('arrears' as const, 'advance' as const, 'advance' as const) }),
);
const seats = fc.record({ meter: fc.constant('seats'), price: decimal(2_000), included: fc.nat(6) });
const groupBy = fc.uniqueArray(
  fc.constantFrom('model_id' as const, 'feature' as const, 'meter' as const, 'region' as const, 'action_id' as const),
  { maxLength: 3 },
);

/** A plan without its name: publishing takes each of them. */
export const plans: fc.Arbitrary<Omit<PlanInput, 'plan_id' | 'currency'>> = fc
  .record({
    rules,
    allowance,
    fees: together(maybe('base_fee', baseFee), maybe('seats', seats)),
    discounts: fc.array(discount, { maxLength: 3 }),
    bounds: fc.option(fc.tuple(amount, amount), { nil: null }),
    oneBound: fc.constantFrom('both', 'minimum', 'maximum'),
    commitment: fc.option(
      fc.record({
        amount: decimal(60_000),
        periods: fc.integer({ min: 1, max: 3 }),
        early_end: fc.constantFrom('prorated' as const, 'full' as const),
      }),
      { nil: null },
    ),
    group_by: groupBy,
    overage: fc.boolean(),
  })
  .map((plan) => {
    const [low, high] = (plan.bounds ?? []).toSorted((a, b) => Number(a) - Number(b));
    const hasCharge = plan.allowance.some((one) => 'charge' in one);
    const maximum = plan.oneBound === 'minimum' ? undefined : high;
    return {
      rules: plan.rules,
      ...(plan.allowance.length === 0 ? {} : { allowance: plan.allowance }),
      ...plan.fees,
      discounts: plan.discounts,
      ...(low === undefined || plan.oneBound === 'maximum' ? {} : { minimum_spend: low }),
      ...(maximum === undefined ? {} : { maximum_spend: maximum }),
      // One that periods at their maximum could not reach is refused.
      ...(plan.commitment === null || maximum !== undefined ? {} : { commitment: plan.commitment }),
      lines: { group_by: plan.group_by, ...(hasCharge && plan.overage ? { overage: true } : {}) },
    };
  });
