import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { expectedRevision } from '../../contracts/approval-options.js';
import type { CommandName, ExpectedRevision, PeriodCommand, PeriodRef } from '../../contracts/engine.js';
import { dateSchema, idSchema, noteSchema } from '../../contracts/ids.js';
import { PERIOD_STATUSES, type Totals } from '../../contracts/period.js';
import { CostplusError } from '../../errors/error.js';
import { readNewestInvoices } from '../../invoicing/issued-invoices.js';
import { readPeriodView } from '../../invoicing/period-view.js';
import { readTotalsOf } from '../../ledger/totals.js';
import type { Period } from '../../periods/period.js';
import { findPeriod, listPeriods } from '../../periods/period-store.js';
import { actorOf } from '../access.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { commandAnswerView, periodSummaryView, periodView } from '../period-views.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { pageView } from '../view-values.js';

export const periodParams = z.strictObject({ customer_id: idSchema, start_date: dateSchema });
const tags = ['periods'];

/** What a command may say; a body may be left out. */
const commandSchema = z.strictObject({ request_id: idSchema.optional(), reason: noteSchema.optional() });

const COMMANDS = [
  { command: 'close', summary: 'Close a period now: seal it and bill it' },
  { command: 'hold', summary: 'Hold a period before it is submitted' },
  { command: 'release', summary: 'Let a held or parked period go on' },
] as const;

/** Billing periods: where they stand, and what finance can ask of them. */
export function periodRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/periods',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'List billing periods',
        tags,
        querystring: z.strictObject({
          ...pageQuery,
          customer_id: idSchema.optional(),
          status: z.enum(PERIOD_STATUSES).optional(),
          opening_changed: z.enum(['true', 'false']).optional(),
        }),
        response: { 200: pageView(periodSummaryView), ...problemResponses },
      },
    },
    async (request) => {
      const { customer_id, status, opening_changed } = request.query;
      const page = await listPeriods(deps.pool, {
        ...pageOf(request.query),
        ...(customer_id === undefined ? {} : { customer_id }),
        ...(status === undefined ? {} : { status }),
        ...(opening_changed === undefined ? {} : { opening_changed: opening_changed === 'true' }),
      });
      const ids = page.data.map((period) => period.period_id);
      const totals = await readTotalsOf(deps.pool, ids);
      const invoices = await readNewestInvoices(deps.pool, ids);
      const data = page.data.map((period) => ({
        ...summaryOf(period, totals.get(period.period_id) ?? null),
        invoice: invoices.get(period.period_id) ?? null,
      }));
      return { data, next_cursor: page.next_cursor };
    },
  );

  server.get(
    '/v1/periods/:customer_id/:start_date',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'A billing period: status, totals, budgets, held usage, timeline',
        tags,
        params: periodParams,
        response: { 200: periodView, ...problemResponses },
      },
    },
    (request) => readPeriodView(deps.pool, request.params.customer_id, request.params.start_date),
  );

  const drive = async (period: PeriodRef, name: CommandName, command: PeriodCommand) => {
    // The engine would start a workflow for a period that is not there.
    if (!(await findPeriod(deps.pool, period.customer_id, period.start_date))) {
      throw new CostplusError('unknown_period', 'This customer has no billing period with that start date.');
    }
    return deps.engine.command(period, name, command);
  };

  server.post(
    '/v1/periods/:customer_id/:start_date/approve',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Let an invoice go that awaits approval',
        description:
          'Answers when the step is accepted. The same request id does nothing twice. `revision`, `total` and `content_hash` name the invoice that was looked at; where another one waits by now, nothing is approved.',
        tags,
        params: periodParams,
        body: commandSchema.extend(expectedRevision).nullish(),
        response: { 200: commandAnswerView, ...problemResponses },
      },
    },
    (request) => {
      const { revision, total, content_hash } = request.body ?? {};
      const expected: ExpectedRevision = {
        ...(revision === undefined ? {} : { revision }),
        ...(total === undefined ? {} : { total }),
        ...(content_hash === undefined ? {} : { content_hash }),
      };
      const command = commandOf(request, request.body ?? {});
      const isNamed = Object.keys(expected).length > 0;
      return drive(request.params, 'approve', isNamed ? { ...command, expected } : command);
    },
  );

  for (const { command, summary } of COMMANDS) {
    server.post(
      `/v1/periods/:customer_id/:start_date/${command}`,
      {
        config: { access: 'finance' },
        schema: {
          summary,
          description: 'Answers when the step is accepted. The same request id does nothing twice.',
          tags,
          params: periodParams,
          body: commandSchema.nullish(),
          response: { 200: commandAnswerView, ...problemResponses },
        },
      },
      (request) => drive(request.params, command, commandOf(request, request.body ?? {})),
    );
  }
}

/** A period as it is listed. */
function summaryOf(period: Period, totals: Totals | null): Omit<z.output<typeof periodSummaryView>, 'invoice'> {
  return {
    customer_id: period.customer_id,
    period: { start: period.starts_at.toISOString(), end: period.ends_at.toISOString() },
    start_date: period.start_date,
    seals_at: period.seals_at.toISOString(),
    status: period.status,
    status_reason: period.status_reason,
    payment_status: period.payment_status,
    opening_changed: period.opening_changes !== null,
    totals,
  };
}

/** The command with its request id: the body's, else the header `Idempotency-Key`, else a new one. */
export function commandOf(
  request: FastifyRequest,
  body: { request_id?: string | undefined; reason?: string | undefined },
): PeriodCommand {
  const sent = request.headers['idempotency-key'];
  const key = sent === undefined ? undefined : idSchema.safeParse(sent);
  if (key?.success === false) {
    throw new CostplusError('invalid_request', 'Idempotency-Key must be 1 to 128 of A-Z a-z 0-9 . _ : -', {
      field: 'idempotency-key',
    });
  }
  if (key && body.request_id !== undefined && key.data !== body.request_id) {
    throw new CostplusError('invalid_request', 'Idempotency-Key and request_id differ; send one of them.', {
      field: 'request_id',
    });
  }
  return {
    request_id: body.request_id ?? key?.data ?? randomUUID(),
    actor: actorOf(request),
    reason: body.reason ?? null,
  };
}
