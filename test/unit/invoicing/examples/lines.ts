import type { Case } from '../plan-cases.js';

/** What stands on one line is summed before it is rounded. */
export const LINE_COMBINATIONS: Case[] = [
  [
    'two lines that differ in one thing alone are rounded apart: 0.012 x 1.25 = 0.015 is 0.02, twice',
    {
      plan: {
        rules: [{ markup: '0.25' }],
        lines: { group_by: ['provider', 'model_id', 'meter', 'feature', 'subscription_item_id', 'region'] },
      },
      used: [
        { cost: '0.012', region: 'eu' },
        { cost: '0.012', region: 'us' },
      ],
    },
    ['usage 0.02', 'usage 0.02'],
    '0.04',
  ],
  [
    'on one line they are rounded once: 2 x 0.012 x 1.25 = 0.03; by team, action and the others apart again',
    {
      plan: {
        rules: [{ markup: '0.25' }],
        lines: { group_by: ['service_tier', 'source', 'paid_by', 'action_id', 'dimensions.team'] },
      },
      used: [
        { cost: '0.012', region: 'eu', action_id: 'run' },
        { cost: '0.012', region: 'us', action_id: 'run' },
        { cost: '0.012', action_id: 'run', 'dimensions.team': 'search' },
      ],
    },
    ['usage 0.03', 'usage 0.02'],
    '0.05',
  ],
];
