import { z } from 'zod';
import { instantSchema } from '../contracts/ids.js';

/*
 * What the routes answer, for the OpenAPI document, stands in the files named after what they describe. Answers are not
 * checked against them at run time (a description that lags must not fail a request); the tests check every answer.
 */

/** An exact number, a quantity or an amount of money, as a string. */
export const decimal = z.string().regex(/^-?\d+(\.\d+)?$/);
export const count = z.number().int().nonnegative();
export const spanView = z.strictObject({ start: instantSchema, end: instantSchema });
/** Quantities of an event by meter: fractions as strings. */
export const quantities = z.record(z.string(), z.union([count, decimal]));

/** A page of a list. */
export const pageView = <T extends z.ZodType>(item: T) =>
  z.strictObject({ data: z.array(item), next_cursor: z.string().nullable() });
