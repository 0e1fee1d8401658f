import { z } from 'zod';
import { idSchema, instantSchema, labelSchema, unsignedDecimalSchema } from './ids.js';
import { type RuleMatch, ruleMatchSchema } from './plan-rule.js';
import { APPLIES_TO, type AppliesTo } from './plan-terms.js';

/** A grant of prepaid credits in the customer's currency. */
export const creditGrantSchema = z
  .strictObject({
    request_id: idSchema.optional(),
    /** What the customer reads on the line. */
    name: labelSchema,
    amount: unsignedDecimalSchema.refine((amount) => /[1-9]/.test(amount), 'must be above zero'),
    /** Lower ones pay first; then what expires earlier, then what cost the customer less. */
    priority: z.number().int().min(0).max(1_000).default(100),
    /** What the customer paid for one unit of credit; left out: nothing. */
    cost_basis: unsignedDecimalSchema.optional(),
    /** Left out: `all`, or `usage` where there is a `match`. */
    applies_to: z.enum(APPLIES_TO).optional(),
    /** What the usage must be that it pays for; it pays for no fees then. */
    match: ruleMatchSchema.refine((match) => Object.keys(match).length > 0, 'must name what it matches').optional(),
    /** From when on (now where it is left out), and until when it pays. */
    effective_from: instantSchema.optional(),
    expires_at: instantSchema.optional(),
  })
  .refine(({ match, applies_to }) => match === undefined || applies_to === undefined || applies_to === 'usage', {
    error: 'credits with a match pay for usage: leave it out, or say "usage"',
    path: ['applies_to'],
  });
export type CreditGrantBody = z.infer<typeof creditGrantSchema>;

/**
 * A grant with what is left of it; `burned` and `expired` are what composed invoices took, `revoked` is what was taken
 * back. The three and `remaining` add up to `amount`.
 */
export interface CreditGrant {
  grant_id: number;
  name: string;
  amount: string;
  currency: string;
  priority: number;
  cost_basis: string | null;
  applies_to: AppliesTo;
  match: RuleMatch | null;
  effective_from: string;
  expires_at: string | null;
  burned: string;
  expired: string;
  revoked: string;
  remaining: string;
  revocation: { at: string; by: string; reason: string } | null;
  created_by: string;
  created_at: string;
}

/** A customer's credits as one sum, decimal strings in its currency. */
export interface CreditBalance {
  customer_id: string;
  currency: string;
  granted: string;
  burned: string;
  expired: string;
  revoked: string;
  remaining: string;
  /** What of `remaining` is in force now, and by what it can pay for. */
  available: string;
  available_for: { all: string; usage: string; matched_usage: string; fees: string };
  /** What of `remaining` is gone when, the earliest first. */
  expiring: { expires_at: string; remaining: string }[];
}

/** A movement of a grant: signed, so that its entries add up to what is left of it. */
export interface CreditEntry {
  at: string;
  kind: 'granted' | 'burned' | 'expired' | 'revoked';
  grant_id: number;
  name: string;
  amount: string;
  currency: string;
  /** The invoice that took it; null for grants and revocations. */
  start_date: string | null;
  revision: number | null;
}
