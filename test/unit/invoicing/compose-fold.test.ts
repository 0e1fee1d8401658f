import { describe, expect, it } from 'vitest';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { lineOfUsage } from '../../../src/invoicing/line-of-usage.js';
import { anInput, aPlan, costing } from './compose-fixtures.js';

/** Line i costs i dollars, in a shuffled order of models. */
const models = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    costing(`${((index * 7) % count) + 1}`, { model_id: `model-${`${(index * 7) % count}`.padStart(3, '0')}` }),
  );
const sumTo = (count: number) => (count * (count + 1)) / 2;

describe('an invoice of more lines than fit', () => {
  it('keeps 250 as they are', () => {
    const { content } = composeInvoice(anInput({ groups: models(250) }));
    expect(content.lines).toHaveLength(250);
    expect(content.lines.every((line) => line.plan !== null)).toBe(true);
  });

  it('folds the smallest amounts into one line after the others, and the total stays', () => {
    const { content } = composeInvoice(anInput({ groups: models(300) }));
    expect(content.lines).toHaveLength(250);
    // 249 largest stay: 52.00 to 300.00; the 51 below sum to 51 x 52 / 2 = 1326.00.
    expect(content.lines[0]).toMatchObject({ group: { model_id: 'model-051' }, amount: '52.00' });
    expect(content.lines[248]).toMatchObject({ group: { model_id: 'model-299' }, amount: '300.00' });
    expect(content.lines[249]).toMatchObject({
      kind: 'usage',
      description: 'Other usage · 51 requests (51 events)',
      group: {},
      plan: null,
      events: 51,
      quantity: '51',
      cost: '1326',
      charge: '1326',
      amount: '1326.00',
    });
    expect(content.total).toBe(`${sumTo(300)}.00`);
    expect(content.events).toBe(300);
  });

  it('of a plan whose lines stand on a subscription folds beyond 200, so that its own items have room', () => {
    const plans = [aPlan({ invoice_on: 'subscription' })];
    const { content } = composeInvoice(anInput({ plans, groups: models(201) }));
    expect(content.lines).toHaveLength(200);
    expect(content.total).toBe(`${sumTo(201)}.00`);
    expect(composeInvoice(anInput({ plans, groups: models(200) })).content.lines.at(-1)!.plan).not.toBeNull();
  });

  it('leaves room for the fee, the allowance, the minimum and the maximum', () => {
    const plans = [
      aPlan({ base_fee: '1', allowance: { charge: '2' }, minimum_spend: '100000', maximum_spend: '200000' }),
    ];
    const { content } = composeInvoice(anInput({ plans, groups: models(300) }));
    const kinds = content.lines.map((line) => line.kind);
    expect(kinds.filter((kind) => kind === 'usage')).toHaveLength(246);
    expect(kinds.slice(246)).toEqual(['base_fee', 'allowance', 'minimum_spend']);
    expect(content.total).toBe('100000.00');
  });

  it('folds amounts that were rounded, so that nothing is rounded twice', () => {
    // 300 lines of 0.005 are 0.01 each: 3.00, folded or not. Rounded as one sum they would be 1.50.
    const groups = models(300).map((group) => ({ ...group, price: '0.005' }));
    const { content } = composeInvoice(anInput({ groups }));
    expect(content.total).toBe('3.00');
    expect(content.lines[249]).toMatchObject({ charge: '0.255', amount: '0.51' });
  });

  it('folds of equal amounts the later ones', () => {
    const groups = models(253).map((group) => ({ ...group, price: '1' }));
    const { content } = composeInvoice(anInput({ groups }));
    expect(content.lines[248]).toMatchObject({ group: { model_id: 'model-248' } });
    expect(content.lines[249]).toMatchObject({ description: 'Other usage · 4 requests (4 events)', amount: '4.00' });
  });

  it('finds for usage the line of its group, else the folded one', () => {
    const plan = aPlan();
    const { lines } = composeInvoice(anInput({ plans: [plan], groups: models(300) })).content;
    const of = (model_id: string) =>
      lineOfUsage(lines, 1, plan, { provider: 'anthropic', model_id, priced_as: 'x', meter: 'requests' });
    expect(of('model-051')).toBe(0);
    expect(of('model-000')).toBe(249);
    expect(
      lineOfUsage(lines.slice(0, 249), 2, plan, { provider: 'a', model_id: 'model-051', priced_as: 'x', meter: 'm' }),
    ).toBe(null);
  });

  it('folds base fees beyond 20 plans of one period into one', () => {
    const plans = Array.from({ length: 30 }, (_, index) => aPlan({ plan_id: `plan-${index}`, base_fee: '30.00' }));
    const from = plans.map((_, index) => (index === 0 ? null : new Date(Date.UTC(2026, 10, 1 + index)).toISOString()));
    const { content } = composeInvoice(anInput({ plans, from, groups: models(300) }));
    const fees = content.lines.filter((line) => line.kind === 'base_fee');
    expect(fees.map((line) => line.amount)).toEqual([...Array.from({ length: 19 }, () => '1.00'), '11.00']);
    expect(fees.at(-1)!.description).toBe('Base fees of further plans');
    expect(content.lines).toHaveLength(250);
    expect(content.total).toBe(`${sumTo(300) + 30}.00`);
  });
});
