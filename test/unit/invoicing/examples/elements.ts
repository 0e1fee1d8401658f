import type { PlanInput } from '../../../../src/contracts/plan.js';
import { RULE_KINDS } from '../../../../src/contracts/plan-rule.js';
import type { Example } from '../plan-cases.js';

/** The plans of an example as they are written. */
export function plansOf(example: Example): Partial<PlanInput>[] {
  return example.plans ?? [example.plan ?? {}];
}

/** What of plan, time, balances and currency an example is about; a rule of cost alone is about nothing. */
export function elementsOf(example: Example): string[] {
  const plans = plansOf(example);
  const terms = plans.flatMap(({ rules = [], allowance = [], lines, ...plan }) => [
    ...rules.flatMap((rule) =>
      Object.entries(rule).flatMap(([key, value]) => {
        const isKind = (RULE_KINDS as readonly string[]).includes(key);
        if (isKind) return key === 'markup' && value === '0' ? [] : [`${key} ${'count' in rule ? rule.count : ''}`];
        return /^(fee_per|floor|cap|cost_basis)/.test(key) ? [key] : [];
      }),
    ),
    ...[allowance]
      .flat()
      .flatMap((one) => [
        'charge' in one ? 'charge' : 'credits' in one ? 'included credits' : `quantity ${one.count ?? 'units'}`,
        ...(one.rollover === true ? ['rollover'] : []),
      ]),
    ...(lines?.overage === true ? ['overage'] : []),
    ...((lines?.group_by ?? []).length > 1 ? ['lines by several things'] : []),
    ...(new Set(rules.flatMap(({ match = {} }) => Object.keys(match))).size > 3 ? ['several matches'] : []),
    ...(plan.discounts ?? []).flatMap((one) => [
      'percent' in one ? 'percent off' : 'amount off',
      ...(one.from === undefined && one.to === undefined ? [] : ['dates']),
      ...(one.on === undefined ? [] : [`on ${one.on}`]),
    ]),
    ...(plan.base_fee === undefined
      ? []
      : [typeof plan.base_fee === 'object' && plan.base_fee.timing === 'advance' ? 'fee in advance' : 'fee']),
    ...(['seats', 'minimum_spend', 'maximum_spend', 'commitment'] as const).filter((key) => plan[key] !== undefined),
  ]);
  const around = [
    plans.length > 1 && 'change of plan',
    example.period !== undefined && 'cut period',
    example.currency !== undefined && `in ${example.currency}`,
    example.opening?.credits !== undefined && 'prepaid credits',
    example.late !== undefined && 'late usage',
    example.adjustments !== undefined && 'adjustment',
  ];
  return [...new Set([...terms, ...around.filter((one) => one !== false)])].sort();
}

/** The keys of a document, dotted, lists as what they list; `key=value` for its texts. */
export function keysOf(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => keysOf(one, at));
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? [at, `${at}=${value}`] : [at];
  return [at, ...Object.entries(value).flatMap(([key, one]) => keysOf(one, at === '' ? key : `${at}.${key}`))];
}

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  $ref?: string;
  $defs?: Record<string, Schema>;
}

/** The same of a JSON schema: all keys that its documents can have, and the texts that they can choose from. */
export function keysOfSchema(root: Schema): string[] {
  const walk = (schema: Schema, at: string): string[] => {
    const { properties = {}, items, anyOf = [], oneOf = [], enum: choices = [] } = schema;
    const ref = schema.$ref === undefined ? undefined : root.$defs?.[schema.$ref.replace('#/$defs/', '')];
    if (schema.$ref !== undefined && ref === undefined) throw new Error(`${schema.$ref} is not in $defs`);
    return [
      ...(at === '' ? [] : [at]),
      ...choices.map((choice) => `${at}=${choice}`),
      ...[...anyOf, ...oneOf, ...(items ? [items] : []), ...(ref ? [ref] : [])].flatMap((one) => walk(one, at)),
      ...Object.entries(properties).flatMap(([key, one]) => walk(one, at === '' ? key : `${at}.${key}`)),
    ];
  };
  return [...new Set(walk(root, ''))].sort();
}
