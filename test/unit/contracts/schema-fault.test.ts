import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { idSchema, labelSchema } from '../../../src/contracts/ids.js';
import { schemaFault } from '../../../src/contracts/schema-fault.js';

const schema = z.strictObject({
  name: labelSchema,
  rows: z.array(z.strictObject({ count: z.number().int() })).optional(),
  dimensions: z.record(idSchema, labelSchema).optional(),
  word: z
    .union(
      [
        z.strictObject({ on: z.number().optional(), markup: z.string() }),
        z.strictObject({ on: z.number().optional(), margin: z.string() }),
      ],
      'must have exactly one of markup and margin',
    )
    .optional(),
});
const faultOf = (value: unknown) => schemaFault(schema.safeParse(value).error!);

describe('the fault of a schema', () => {
  it('names the field by its path', () => {
    expect(faultOf({ name: 'a', rows: [{ count: 1 }, { count: 'x' }] }).field).toBe('rows[1].count');
    expect(faultOf({ name: 'a', dimensions: { team: 3 } }).field).toBe('dimensions.team');
    expect(faultOf('no object').field).toBe('');
  });

  it('is that of the form that was meant, where several are allowed', () => {
    expect(faultOf({ name: 'a', word: { margin: 0.3 } }).field).toBe('word.margin');
    expect(faultOf({ name: 'a', word: { on: 'x', markup: '1' } }).field).toBe('word.on');
    const undecided = { field: 'word', reason: 'must have exactly one of markup and margin' };
    expect(faultOf({ name: 'a', word: {} })).toEqual(undecided);
    expect(faultOf({ name: 'a', word: { markup: '1', margin: '1' } })).toEqual(undecided);
  });

  it.each([
    ['an unknown key', { name: 'a', 'tell me a secret': 1 }, ''],
    ['an unknown key inside', { name: 'a', rows: [{ count: 1, 'tell me a secret': 1 }] }, 'rows[0]'],
    ['a key that is no id', { name: 'a', dimensions: { 'tell me a secret': 'x' } }, 'dimensions'],
    ['a value', { name: 'tell me a secret\n' }, 'name'],
    ['a value under a key that is no id', { name: 'a', dimensions: { 'tell me a secret': 7 } }, 'dimensions'],
  ])('never repeats %s', (_what, value, field) => {
    const fault = faultOf(value);
    expect(JSON.stringify(fault)).not.toContain('secret');
    expect(fault.field).toBe(field);
  });
});
