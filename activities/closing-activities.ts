import { Context } from '@temporalio/activity';
import type { CatalogCache } from '../src/catalog/catalog-cache.js';
import { type ApprovalReminder, remindApproval } from '../src/closing/approval.js';
import { applyCommand } from '../src/closing/commands.js';
import { composePeriod } from '../src/closing/compose-period.js';
import { openNextPeriod } from '../src/closing/next-period.js';
import { readPeriodState } from '../src/closing/period-state.js';
import { beginClosing, parkPeriod, sealClosing } from '../src/closing/steps.js';
import { submitPeriod } from '../src/closing/submit-period.js';
import type { BillingPeriodActivities } from '../src/contracts/engine.js';
import type { Pool } from '../src/database/pool.js';
import { CostplusError } from '../src/errors/error.js';
import type { SubmitDeps } from '../src/invoicing/submit.js';
import { heartbeating } from './heartbeat.js';

export interface ClosingDeps {
  pool: Pool;
  catalogs: CatalogCache;
  /** Null where no Stripe account is configured: invoices to submit are parked then, and say so. */
  stripe: SubmitDeps['stripe'] | null;
  /** Makes the links to details in the footer of invoices. */
  detailsLinks?: SubmitDeps['detailsLinks'];
  /** Hears of each invoice that still waits for approval, when somebody is to be reminded of it. */
  onApprovalReminder?: (reminder: ApprovalReminder) => void;
}

type ClosingActivities = Pick<
  BillingPeriodActivities,
  | 'applyCommand'
  | 'beginClosing'
  | 'sealPeriod'
  | 'composeInvoice'
  | 'remindApproval'
  | 'submitInvoice'
  | 'parkPeriod'
  | 'openNextPeriod'
>;

export function createClosingActivities(deps: ClosingDeps): ClosingActivities {
  const { pool } = deps;
  return {
    applyCommand: (ref, name, command) => applyCommand(deps, ref, name, command),
    // Both price what is left of the period before they decide: long for a large one.
    beginClosing: (ref, nowMs) =>
      heartbeating((onProgress) => beginClosing({ ...deps, onProgress }, ref, new Date(nowMs))),
    sealPeriod: (ref) => heartbeating((onProgress) => sealClosing({ ...deps, onProgress }, ref)),
    composeInvoice: (ref) => heartbeating((onProgress) => composePeriod({ ...deps, onProgress }, ref)),
    async remindApproval(ref, nowMs) {
      const reminder = await remindApproval(pool, ref, new Date(nowMs));
      if (reminder) deps.onApprovalReminder?.(reminder);
      return readPeriodState(pool, ref);
    },
    async submitInvoice(ref) {
      const { stripe } = deps;
      if (!stripe)
        throw new CostplusError('configuration', 'STRIPE_SECRET_KEY is not set; set it and release the period.');
      const context = Context.current();
      const heartbeat = (detail: unknown) => context.heartbeat(detail);
      return submitPeriod(
        { pool, stripe, detailsLinks: deps.detailsLinks, heartbeat, signal: context.cancellationSignal },
        ref,
      );
    },
    parkPeriod: (ref, reason) => parkPeriod(pool, ref, reason),
    openNextPeriod: (ref) => openNextPeriod(pool, ref),
  };
}
