import type { CustomerInput } from '../../contracts/customer.js';
import type { PlanInput } from '../../contracts/plan.js';

/** Plans of the three usual kinds. Windows are short so that totals move while one looks. */
export const DEMO_PLANS: PlanInput[] = [
  {
    plan_id: 'markup-30',
    name: 'Cost plus 30% markup',
    currency: 'usd',
    rules: [{ markup: '0.30' }],
    lines: { group_by: ['model_id'] },
    aggregation_window: 'PT1S',
  },
  {
    plan_id: 'margin-30',
    name: 'Cost plus 30% margin',
    currency: 'usd',
    rules: [{ margin: '0.30' }],
    lines: { group_by: ['feature'] },
    aggregation_window: 'PT1S',
  },
  {
    plan_id: 'hybrid',
    name: 'Base fee, included usage, overage',
    currency: 'usd',
    rules: [{ match: { provider: 'anthropic' }, margin: '0.30' }, { markup: '0.25' }],
    base_fee: '49.00',
    allowance: { charge: '5.00' },
    lines: { group_by: ['provider'] },
    aggregation_window: 'PT1S',
  },
];

export interface DemoCustomer {
  customer_id: string;
  /** What one reads on the screen. */
  label: string;
  /** Of the traffic, in parts. */
  weight: number;
  body: CustomerInput;
}

export const DEMO_CUSTOMERS: DemoCustomer[] = [
  {
    customer_id: 'acme',
    label: '30% markup',
    weight: 3,
    body: {
      name: 'Acme',
      currency: 'usd',
      plan_id: 'markup-30',
      budgets: [{ budget_id: 'monthly', amount: '250.00', thresholds: ['0.5', '0.8', '1'] }],
    },
  },
  {
    customer_id: 'globex',
    label: '30% margin',
    weight: 2,
    body: { name: 'Globex', currency: 'usd', plan_id: 'margin-30', time_zone: 'Europe/Berlin' },
  },
  {
    customer_id: 'initech',
    label: 'base fee + included + overage',
    weight: 2,
    body: { name: 'Initech', currency: 'usd', plan_id: 'hybrid', time_zone: 'America/New_York' },
  },
];
