import type { CustomerBody } from '../contracts/customer.js';
import type { Budget } from '../contracts/plan.js';
import type { Client } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import type { CalendarTerms } from '../periods/calendar.js';
import { readPlan } from '../plans/plan-store.js';
import { calendarOf } from './customer-calendar.js';
import type { CustomerRecord } from './customer-rows.js';
import { kept } from './kept.js';
import type { WantedPlan } from './plan-assignments.js';

/** The whole customer as it is to be after a PUT: what the body says, and what is known where it says nothing. */
export interface WantedCustomer extends WantedPlan {
  name: string | null;
  currency: string;
  calendar: CalendarTerms;
  stripe_customer_id: string | null;
  stripe_subscription_id: string | null;
  budgets: Budget[];
  /** Bounds of billing, ms. */
  starts_at_ms: number | null;
  ends_at_ms: number | null;
}

/**
 * Decides what a body asks for. A key that it leaves out stays as it is known, null takes the default (which is also
 * that of a new customer), so that a body can be as small as the change that it makes.
 * Throws `invalid_customer` with the field at fault, or `unknown_plan`.
 */
export async function wantedCustomer(
  client: Client,
  known: CustomerRecord | null,
  body: CustomerBody,
  nowMs: number,
): Promise<WantedCustomer> {
  const calendar = calendarOf(body, known?.calendars.at(-1));
  const starts_at_ms = kept(instantMs(body.starts_at), known?.starts_at, null);
  const ends_at_ms = kept(instantMs(body.ends_at), known?.ends_at, null);
  if (starts_at_ms !== null && ends_at_ms !== null && ends_at_ms <= starts_at_ms) {
    const late = body.ends_at === undefined;
    throw late ? invalid('starts_at', 'must be before ends_at') : invalid('ends_at', 'must be after starts_at');
  }
  const { plan, version } = await readPlan(client, body.plan_id, versionOf(known, body, nowMs));
  if (plan.currency !== body.currency) throw invalid('currency', `must be the plan's currency, ${plan.currency}`);
  return {
    name: kept(body.name, known?.name, null),
    currency: body.currency,
    calendar,
    plan_id: body.plan_id,
    plan_version: version,
    plan_effective: body.plan_effective,
    stripe_customer_id: kept(body.stripe_customer_id, known?.stripe_customer_id, null),
    stripe_subscription_id: kept(body.stripe_subscription_id, known?.stripe_subscription_id, null),
    budgets: kept(body.budgets, known?.budgets, []),
    starts_at_ms,
    ends_at_ms,
  };
}

/** The version that a body means; undefined for the newest one. Of a plan that the customer has it stays the same. */
function versionOf(known: CustomerRecord | null, body: CustomerBody, nowMs: number): number | undefined {
  if (body.plan_version !== undefined) return body.plan_version ?? undefined;
  const last = known?.assignments.at(-1);
  if (last?.plan_id === body.plan_id) return last.plan_version;
  const inForce = known?.assignments.findLast(({ effective_from }) => effective_from <= nowMs);
  return inForce?.plan_id === body.plan_id ? inForce.plan_version : undefined;
}

function instantMs(text: string | null | undefined): number | null | undefined {
  return typeof text === 'string' ? Date.parse(text) : text;
}

function invalid(field: string, reason: string): CostplusError {
  return new CostplusError('invalid_customer', `${field}: ${reason}.`, { field });
}
