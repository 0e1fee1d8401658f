import type { NamedPlan } from '../contracts/engine.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';

/** A plan as it is written on the command line: `pro` for its newest version, `pro@4`. Throws a usage failure. */
export function readNamedPlan(text: string): NamedPlan {
  const named = /^([^@]+)(?:@([1-9]\d{0,8}))?$/.exec(text);
  if (named === null) throw new CommandFailure(EXIT_USAGE, '--plan is written pro or pro@4.');
  const version = named[2];
  return { plan_id: named[1]!, ...(version === undefined ? {} : { version: Number(version) }) };
}

/** Plan versions in the order in which they were in force, for reading. */
export function planNames(plans: readonly { plan_id: string; version: number }[]): string {
  return plans.map(({ plan_id, version }) => `${plan_id} version ${version}`).join(', ');
}
