import { CostplusError } from '../errors/error.js';

/** The refusal of a plan that parses and cannot be meant; `field` is the JSON path at fault. */
export function invalidPlan(field: string, detail: string): CostplusError {
  return new CostplusError('invalid_plan', detail, { field });
}

/** Refuses the second of two equal names. */
export function refuseRepeats(names: string[], field: (index: number) => string): void {
  const repeated = names.findIndex((name, index) => names.indexOf(name) < index);
  if (repeated >= 0) throw invalidPlan(field(repeated), 'The same name stands here twice.');
}
