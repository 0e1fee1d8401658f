import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PERIOD_STATUSES } from '../../../src/contracts/period.js';
import { STRIPE_ALERT_KINDS } from '../../../src/contracts/stripe-alert.js';
import { createMetrics } from '../../../src/observability/metrics.js';
import { readPage } from '../../support/docs.js';

/** Metrics that inform: of those that need a person or a machine's care each has a rule. */
const INFORMING = [
  'costplus_http_request_duration_seconds',
  'costplus_append_chunk_events',
  'costplus_usage_placed_events_total',
  'costplus_pricing_events_total',
  'costplus_activity_duration_seconds',
  'costplus_stripe_call_duration_seconds',
];

const page = readPage('docs/how-to/watch-it.md');
const block = /```yaml\n(groups:[\s\S]*?)```/.exec(page)![1]!;
const { groups } = parse(block) as { groups: { rules: { alert: string; expr: string; for?: string }[] }[] };
const rules = groups.flatMap((group) => group.rules);
const named = rules.flatMap(({ expr }) => expr.match(/costplus_\w+/g) ?? []);

describe('the alert rules of the documentation', () => {
  it('name metrics that there are, and leave none out that needs somebody', async () => {
    const known = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name);
    const own = known.filter((name) => name.startsWith('costplus_'));
    expect(own.length).toBeGreaterThan(15);
    expect([...new Set(named)].filter((name) => !own.includes(name))).toEqual([]);
    expect(own.filter((name) => !named.includes(name)).sort()).toEqual([...INFORMING].sort());
  });

  it('have names of their own, and statuses that periods can have', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    const statuses = rules.flatMap(({ expr }) => {
      const said = /costplus_periods\{status=~?"([^"]+)"/.exec(expr)?.[1];
      return said === undefined ? [] : said.split('|');
    });
    expect(statuses.length).toBeGreaterThan(3);
    for (const status of statuses) expect(PERIOD_STATUSES).toContain(status);
  });

  it('are explained for each kind of alert about Stripe', () => {
    const alerts = readPage('docs/how-to/stripe-alerts.md');
    for (const kind of STRIPE_ALERT_KINDS) expect(alerts).toContain(`| \`${kind}\``);
  });
});
