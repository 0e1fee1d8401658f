import { describe, expect, it } from 'vitest';
import { planSchema } from '../../src/contracts/plan.js';
import { STRIPE_ALERT_KINDS } from '../../src/contracts/stripe-alert.js';
import {
  METER_EVENT_RETRY_HOURS,
  STRIPE_POLL_AGE_MINUTES,
  STRIPE_POLL_COUNT,
  STRIPE_POLL_MINUTES,
  STRIPE_POLL_PER_SECOND,
  SUBSCRIPTION_DRAFT_MINUTES,
  SUBSCRIPTION_KEY_MINUTES,
  SUBSCRIPTION_LINES_COUNT,
  WEBHOOK_EVENT_DAYS,
} from '../../src/limits.js';
import { checkPlan } from '../../src/plans/plan-rules.js';
import { blocksOf, readPage, tableRows } from '../support/docs.js';

describe('the pages on Stripe', () => {
  it.each([
    'docs/how-to/stripe-invoices.md',
    'docs/how-to/stripe-meter-events.md',
    'docs/how-to/subscription-invoices.md',
  ])('%s shows plans that hold', (page) => {
    const plans = blocksOf(page).filter(({ language }) => language === 'json');
    expect(plans.length).toBeGreaterThan(0);
    for (const { text } of plans) expect(() => checkPlan(planSchema.parse(JSON.parse(text)))).not.toThrow();
  });

  it('name every alert, and no other', () => {
    const named = tableRows('docs/how-to/stripe-alerts.md').map(([first]) => first!);
    expect(named.filter((name) => /^[a-z_]+$/.test(name)).sort()).toEqual([...STRIPE_ALERT_KINDS].sort());
  });

  it('say the bounds as they are', () => {
    const alerts = readPage('docs/how-to/stripe-alerts.md').replaceAll(/\s+/g, ' ');
    const hours = STRIPE_POLL_AGE_MINUTES / 60;
    expect(alerts).toContain(`every ${STRIPE_POLL_MINUTES} minutes`);
    expect(alerts).toContain(`nobody read for ${hours} hours`);
    expect(alerts).toContain(`at most ${STRIPE_POLL_COUNT} a run and ${STRIPE_POLL_PER_SECOND} a second`);
    const reached = (STRIPE_POLL_COUNT * STRIPE_POLL_AGE_MINUTES) / STRIPE_POLL_MINUTES;
    expect(alerts).toContain(`some ${reached.toLocaleString('en-US')} such invoices`);
    expect(alerts).toContain(`forgotten after ${WEBHOOK_EVENT_DAYS} days`);
    const subscription = readPage('docs/how-to/subscription-invoices.md').replaceAll(/\s+/g, ' ');
    expect(subscription).toContain(`beyond ${SUBSCRIPTION_LINES_COUNT} into one`);
    expect(subscription).toContain(`a draft for ${SUBSCRIPTION_DRAFT_MINUTES} minutes more`);
    expect(subscription).toContain(`up to ${SUBSCRIPTION_KEY_MINUTES} minutes`);
    expect(readPage('docs/how-to/stripe-meter-events.md')).toContain(`for ${METER_EVENT_RETRY_HOURS} hours`);
  });

  it('the endpoint is told to ask for every event that something follows from', () => {
    const events = (page: string) => [
      ...new Set(readPage(page).match(/`(?:invoice|credit_note|customer)\.[a-z_]+`/g) ?? []),
    ];
    const setUp = events('docs/how-to/use-your-own-postgres-temporal-stripe.md');
    for (const event of events('docs/how-to/stripe-alerts.md')) expect(setUp).toContain(event);
  });
});
