import { z } from 'zod';
import { REBILL_DEFAULTS } from '../../closing/commands.js';
import type { NamedPlan } from '../../contracts/engine.js';
import { dateSchema, idSchema, noteSchema } from '../../contracts/ids.js';
import { namedPlanSchema } from '../../contracts/plan.js';
import { CostplusError } from '../../errors/error.js';
import { listRevisions } from '../../invoicing/invoice-list.js';
import { previewRebill } from '../../invoicing/rebill-preview.js';
import { verifyInvoice } from '../../invoicing/verify-invoice.js';
import { listWaitingLate, releaseLate, toWaitingView } from '../../ledger/late-store.js';
import { voidUsage } from '../../ledger/void-usage.js';
import type { Period } from '../../periods/period.js';
import { findPeriod } from '../../periods/period-store.js';
import { readPlan } from '../../plans/plan-store.js';
import { actorOf } from '../access.js';
import {
  invoiceProofView,
  issuedRevisionView,
  lateReleaseView,
  rebillPreviewView,
  voidedUsageView,
  waitingLateListView,
} from '../correction-views.js';
import type { HttpDeps } from '../deps.js';
import { commandAnswerView } from '../period-views.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { commandOf, periodParams } from './periods.js';

const revisionNumber = z.coerce.number().int().positive().max(2_147_483_647);
const rebillSchema = z
  .strictObject({
    request_id: idSchema.optional(),
    reason: noteSchema,
    /** Answers what it would do, and does nothing. */
    dry_run: z.boolean().default(false),
    catalog: z.enum(['pinned', 'newest']).default(REBILL_DEFAULTS.catalog),
    plans: z.enum(['pinned', 'assigned']).default(REBILL_DEFAULTS.plans),
    /** The plan that should have been in force in all of the period; its newest version where none is named. */
    plan: namedPlanSchema.optional(),
    refund: z.enum(['balance', 'refund']).default(REBILL_DEFAULTS.refund),
  })
  .refine((body) => body.plan === undefined || body.plans === 'pinned', {
    error: 'must not stand beside plans "assigned"',
    path: ['plan'],
  });

/** What finance does when a sealed period was wrong: re-billing, voids, late usage; and the proof that it was right. */
export function correctionRoutes(server: HttpServer, deps: HttpDeps): void {
  const periodOf = async (params: { customer_id: string; start_date: string }): Promise<Period> => {
    const period = await findPeriod(deps.pool, params.customer_id, params.start_date);
    if (!period) {
      throw new CostplusError('unknown_period', 'This customer has no billing period with that start date.');
    }
    return period;
  };

  /** Newest is what is newest when it is asked for. */
  const pinnedPlan = async (named: NamedPlan): Promise<NamedPlan> => {
    const { plan_id, version } = await readPlan(deps.pool, named.plan_id, named.version);
    return { plan_id, version };
  };

  server.post(
    '/v1/periods/:customer_id/:start_date/rebill',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Bill a sealed period again',
        description:
          'Seals the next revision from the ledger as it stands, and moves Stripe to it. Answers when the step is accepted, or with `dry_run` what it would do. The same request id does nothing twice.',
        tags: ['periods'],
        params: periodParams,
        body: rebillSchema,
        response: { 200: z.union([commandAnswerView, rebillPreviewView]), ...problemResponses },
      },
    },
    async (request) => {
      const { dry_run, catalog, plans, plan, refund, ...body } = request.body;
      const { customer_id, start_date } = await periodOf(request.params);
      const options = { catalog, plans, refund, ...(plan === undefined ? {} : { plan: await pinnedPlan(plan) }) };
      if (dry_run) return previewRebill(deps, customer_id, start_date, options);
      return deps.engine.command({ customer_id, start_date }, 'rebill', {
        ...commandOf(request, body),
        rebill: options,
      });
    },
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'All issued revisions of the invoice',
        tags: ['invoices'],
        params: periodParams,
        response: { 200: z.strictObject({ data: z.array(issuedRevisionView) }), ...problemResponses },
      },
    },
    async (request) => ({ data: await listRevisions(deps.pool, (await periodOf(request.params)).period_id) }),
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision/verify',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'Derive an issued revision again and compare it byte by byte',
        tags: ['invoices'],
        params: periodParams.extend({ revision: revisionNumber }),
        response: { 200: invoiceProofView, ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, start_date, revision } = request.params;
      return verifyInvoice(deps, customer_id, start_date, revision);
    },
  );

  server.post(
    '/v1/usage/:customer_id/:event_id/void',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Take back accepted usage that was wrong',
        description:
          'For ever: what replaces it is sent with an id of its own. In a sealed period it asks for a re-bill.',
        tags: ['usage'],
        params: z.strictObject({ customer_id: idSchema, event_id: idSchema }),
        body: z.strictObject({ reason: noteSchema }),
        response: { 200: voidedUsageView, ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, event_id } = request.params;
      return voidUsage(deps.pool, customer_id, event_id, { reason: request.body.reason, actor: actorOf(request) });
    },
  );

  server.get(
    '/v1/late-usage',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'Sealed periods with late usage that waits',
        tags: ['usage'],
        querystring: z.strictObject({ customer_id: idSchema.optional() }),
        response: { 200: waitingLateListView, ...problemResponses },
      },
    },
    async (request) => {
      const { customer_id } = request.query;
      const waiting = await listWaitingLate(deps.pool, customer_id === undefined ? {} : { customer_id });
      return { data: waiting.map(toWaitingView) };
    },
  );

  server.post(
    '/v1/late-usage/:customer_id/:start_date/carry',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Let late usage go into the next period that is sealed, whatever the plan says',
        description:
          'Of the named events, or all that wait. To bill it in its own period instead, bill that again; where no period is to come, that happens by itself.',
        tags: ['usage'],
        params: z.strictObject({ customer_id: idSchema, start_date: dateSchema }),
        body: z.strictObject({ reason: noteSchema, event_ids: z.array(idSchema).min(1).max(1_000).optional() }),
        response: { 200: lateReleaseView, ...problemResponses },
      },
    },
    async (request) => {
      const { reason, event_ids } = request.body;
      const period = await periodOf(request.params);
      return { released: await releaseLate(deps.pool, period, { actor: actorOf(request), reason }, event_ids) };
    },
  );
}
