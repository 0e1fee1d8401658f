import { describe, expect, it } from 'vitest';
import { planJsonSchema } from '../../../src/plans/plan-schema.js';
import { ALLOWANCE_COMBINATIONS } from './examples/allowances.js';
import { CHANGE_COMBINATIONS } from './examples/changes.js';
import { elementsOf, keysOf, keysOfSchema, plansOf } from './examples/elements.js';
import { LINE_COMBINATIONS } from './examples/lines.js';
import { RULE_COMBINATIONS } from './examples/rules.js';
import { TERM_COMBINATIONS } from './examples/terms.js';
import { check } from './plan-cases.js';

const COMBINATIONS = [
  ...RULE_COMBINATIONS,
  ...LINE_COMBINATIONS,
  ...ALLOWANCE_COMBINATIONS,
  ...TERM_COMBINATIONS,
  ...CHANGE_COMBINATIONS,
];

/** Keys of a plan that decide when, how and whether something is billed, or how it is called: never how much. */
const NO_AMOUNT = new Set([
  'plan_id',
  'name',
  'currency',
  'lines.unit',
  'lines.stripe',
  'rules.name',
  'rules.stripe',
  'rules.unit',
  'allowance.name',
  'discounts.name',
  'invoice_on',
  'grace',
  'aggregation_window',
  'budgets',
  'submission',
  'meter_events',
  'collection',
  'retry_for',
  'on_held',
  'held_wait',
  'late_usage',
  'rebill_window',
  'approval',
  'stripe',
]);

describe('worked examples', () => {
  describe.each([
    ['rules', RULE_COMBINATIONS],
    ['lines', LINE_COMBINATIONS],
    ['included usage', ALLOWANCE_COMBINATIONS],
    ['terms', TERM_COMBINATIONS],
    ['changes of plan and currencies', CHANGE_COMBINATIONS],
  ])('of %s', (_what, cases) => {
    it.each(cases)('%s', (_what, example, lines, total) => check(example, lines, total));
  });

  it('combine at least two elements each, in more than 40 ways', () => {
    const combinations = COMBINATIONS.map(([what, example]) => [what, elementsOf(example)] as const);
    expect(combinations.filter(([, elements]) => elements.length < 2)).toEqual([]);
    expect(new Set(combinations.map(([, elements]) => elements.join(' + '))).size).toBeGreaterThan(40);
  });

  it('name every key and every choice of the plan schema that an amount depends on', () => {
    const inExamples = new Set(COMBINATIONS.flatMap(([, example]) => plansOf(example).flatMap((plan) => keysOf(plan))));
    const isOfAmounts = (key: string) =>
      ![...NO_AMOUNT].some((other) => key === other || key.startsWith(`${other}.`) || key.startsWith(`${other}=`));
    const wanted = keysOfSchema(planJsonSchema()).filter(isOfAmounts);
    expect(wanted).toContain('rules.floor_per_unit.price');
    expect(wanted).toContain('commitment.early_end=full');
    expect(wanted.filter((key) => !inExamples.has(key))).toEqual([]);
  });

  it('leave nothing aside that is no key of the plan schema', () => {
    const keys = new Set(keysOfSchema(planJsonSchema()));
    expect([...NO_AMOUNT].filter((key) => !keys.has(key))).toEqual([]);
  });
});
