import { z } from 'zod';
import { planSchema } from '../contracts/plan.js';

/** The JSON schema (draft 2020-12) of a plan as a client writes it: keys with a default may be left out. */
export function planJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(planSchema, { io: 'input', target: 'draft-2020-12' }), title: 'costplus plan' };
}
