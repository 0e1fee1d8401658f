import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { type PlanInput, planSchema } from '../../../src/contracts/plan.js';
import { CostplusError } from '../../../src/errors/error.js';
import { checkPlan } from '../../../src/plans/plan-rules.js';
import { planJsonSchema } from '../../../src/plans/plan-schema.js';

const rest = { markup: '0' };
const pages = { match: { meter: 'pages' } };
const aPlan = (plan: object) => ({ plan_id: 'pro', currency: 'usd', rules: [rest], ...plan });

/** The field that a plan is refused for, by the schema or by what it cannot say. */
function refusal(plan: object): string | null {
  const parsed = planSchema.safeParse(aPlan(plan));
  if (!parsed.success) return `schema: ${parsed.error.issues[0]!.path.join('.')}`;
  try {
    checkPlan(parsed.data);
    return null;
  } catch (error) {
    if (!(error instanceof CostplusError)) throw error;
    expect(error.code).toBe('invalid_plan');
    expect(error.message.length).toBeGreaterThan(20);
    return String(error.field);
  }
}

describe('a plan is refused, with the field, where', () => {
  it.each<[string, object, string]>([
    [
      'a tier does not end above the one before it',
      {
        rules: [
          { ...pages, graduated: [{ up_to: '10', price: '1' }, { up_to: '10', price: '2' }, { price: '3' }] },
          rest,
        ],
      },
      'rules[0].graduated[1].up_to',
    ],
    [
      'the first tier ends at nothing',
      { rules: [{ ...pages, volume: [{ up_to: '0', price: '1' }, { price: '3' }] }, rest] },
      'rules[0].volume[0].up_to',
    ],
    [
      'the last tier ends',
      { rules: [{ ...pages, volume: [{ up_to: '10', price: '1' }] }, rest] },
      'rules[0].volume[0].up_to',
    ],
    [
      'a tier before the last is without end',
      { rules: [{ ...pages, graduated: [{ price: '1' }, { price: '2' }] }, rest] },
      'rules[0].graduated[0].up_to',
    ],
    [
      'a package is empty',
      { rules: [{ ...pages, package: { size: '0', price: '1' } }, rest] },
      'rules[0].package.size',
    ],
    ['units are counted of everything', { rules: [{ unit_price: '1' }] }, 'rules[0].match'],
    [
      'units of different meters are added up',
      { rules: [{ match: { meter: ['pages', 'web_searches'] }, unit_price: '1' }, rest] },
      'rules[0].match.meter',
    ],
    [
      'events are counted of one meter',
      { rules: [{ ...pages, count: 'events', unit_price: '1' }, rest] },
      'rules[0].match.meter',
    ],
    ['a flat price counts', { rules: [{ ...pages, count: 'events', flat: '1' }, rest] }, 'rules[0].count'],
    ['a floor has no unit', { rules: [{ markup: '0', floor_per_unit: { price: '1' } }] }, 'rules[0].floor_per_unit'],
    [
      'a floor is above its cap',
      {
        rules: [{ ...pages, markup: '0', floor_per_unit: { price: '3', per: 2 }, cap_per_unit: { price: '1' } }, rest],
      },
      'rules[0].floor_per_unit',
    ],
    ['a rule names two ways', { rules: [{ ...pages, unit_price: '1', flat: '2' }] }, 'schema: rules.0'],
    ['a rule names two words', { rules: [{ markup: '0.1', margin: '0.1' }] }, 'schema: rules.0'],
    ['a rule says percentage', { rules: [{ percentage: '30' }] }, 'schema: rules.0'],
    [
      'a rule without lines of its own names a product',
      { rules: [{ markup: '0', stripe: { product: 'prod_1' } }] },
      'rules[0].stripe',
    ],
    [
      'a product and a tax code are both named',
      { lines: { stripe: { usage: { product: 'prod_1', tax_code: 'txcd_10000000' } } } },
      'lines.stripe.usage',
    ],
    ['an allowance includes nothing', { allowance: { quantity: '0', count: 'events' } }, 'allowance.quantity'],
    ['an allowance has no unit', { allowance: [{ quantity: '5' }] }, 'allowance[0].match'],
    ['a limit has nothing to limit', { allowance: { charge: '5', rollover_limit: '5' } }, 'allowance.rollover_limit'],
    ['an allowance stands there twice', { allowance: [{ charge: '5' }, { charge: '6' }] }, 'allowance[1]'],
    ['an allowance is of two kinds', { allowance: { charge: '5', credits: '5' } }, 'schema: allowance'],
    [
      'seats are charged a second time',
      { rules: [{ match: { meter: 'seats' }, unit_price: '1' }, rest], seats: { meter: 'seats', price: '1' } },
      'rules[0].match.meter',
    ],
    [
      'seats are included a second time',
      { seats: { meter: 'seats', price: '1' }, allowance: { quantity: '5', match: { meter: 'seats' } } },
      'seats.meter',
    ],
    ['a discount is more than all', { discounts: [{ name: 'x', percent: '1.01' }] }, 'discounts[0].percent'],
    [
      'a discount ends before it begins',
      { discounts: [{ name: 'x', percent: '0.1', from: '2026-02-01T00:00:00Z', to: '2026-02-01T00:00:00Z' }] },
      'discounts[0].to',
    ],
    ['a minimum is above the maximum', { minimum_spend: '2', maximum_spend: '1' }, 'minimum_spend'],
    [
      'a commitment is out of reach',
      { maximum_spend: '10', commitment: { amount: '31', periods: 3 } },
      'commitment.amount',
    ],
    ['there is nothing to go beyond', { lines: { overage: true } }, 'lines.overage'],
    [
      'a meter has two units',
      {
        lines: {
          unit: [
            { meter: 'pages', name: 'a' },
            { meter: 'pages', name: 'b' },
          ],
        },
      },
      'lines.unit[1].meter',
    ],
    ['lines on a subscription should be a draft', { invoice_on: 'subscription', submission: 'draft' }, 'submission'],
  ])('%s', (_what, plan, field) => {
    expect(refusal(plan)).toBe(field);
  });

  it('not at the bounds of what can be meant', () => {
    expect(refusal({ discounts: [{ name: 'x', percent: '1' }] })).toBeNull();
    expect(refusal({ maximum_spend: '10', commitment: { amount: '30', periods: 3 } })).toBeNull();
    expect(refusal({ minimum_spend: '1', maximum_spend: '1.0' })).toBeNull();
    const bounds = { floor_per_unit: { price: '1' }, cap_per_unit: { price: '2', per: 2 } };
    expect(refusal({ rules: [{ ...pages, markup: '0', ...bounds }, rest] })).toBeNull();
    expect(
      refusal({ rules: [{ match: { meter: ['input_tokens', 'output_tokens'] }, unit_price: '1' }, rest] }),
    ).toBeNull();
  });
});

describe('the JSON schema of plans', () => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(planJsonSchema());

  it('takes what a client may write, defaults left out', () => {
    const plan: PlanInput = {
      plan_id: 'pro',
      currency: 'usd',
      rules: [{ match: { feature: 'report' }, unit_price: '0.40', count: 'actions' }, { markup: '0.25' }],
      base_fee: { amount: '49.00', timing: 'advance' },
      allowance: [{ charge: '20.00', rollover: true }],
    };
    expect(validate(plan)).toBe(true);
  });

  it('refuses a misspelt key, two ways in a rule and a number where a decimal string has to be', () => {
    expect(validate(aPlan({ basefee: '1' }))).toBe(false);
    expect(validate(aPlan({ rules: [{ markup: '0.1', margin: '0.1' }] }))).toBe(false);
    expect(validate(aPlan({ base_fee: 49 }))).toBe(false);
  });
});
