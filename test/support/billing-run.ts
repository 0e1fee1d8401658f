import { randomBytes, randomUUID } from 'node:crypto';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { applyCommand } from '../../src/closing/commands.js';
import { composePeriod } from '../../src/closing/compose-period.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { sealClosing } from '../../src/closing/steps.js';
import { submitPeriod } from '../../src/closing/submit-period.js';
import type { CommandName, PeriodRef, RebillOptions } from '../../src/contracts/engine.js';
import { FINISHED_STATUSES } from '../../src/contracts/period.js';
import type { ReceivedUsageEvent } from '../../src/contracts/usage-event.js';
import type { Pool } from '../../src/database/pool.js';
import { startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { readInvoice } from '../../src/invoicing/invoice-view.js';
import { StripeClient } from '../../src/stripe/client.js';
import { booksOf } from './correction.js';
import { cloneDatabase } from './database.js';
import { appenderOn, usageEvent } from './ledger.js';

/** The steps that the workflow takes, until nothing is left to do or a person is needed. */
export async function drivePeriod(
  deps: { pool: Pool; catalogs: CatalogCache; stripe: StripeClient; clock?: () => Date },
  ref: PeriodRef,
): Promise<string> {
  for (;;) {
    const { status, status_reason } = await readPeriodRow(deps.pool, ref);
    if (FINISHED_STATUSES.includes(status) || status === 'awaiting_approval') return status;
    if (status === 'closing') {
      // It waits for another period.
      if ((await sealClosing(deps, ref)).waits_for !== undefined) return 'closing';
    } else if (status === 'sealed') await composePeriod(deps, ref);
    else if (status === 'submitting') await submitPeriod({ ...deps, now: deps.clock, heartbeat: () => undefined }, ref);
    else throw new Error(`the period is ${status}: ${status_reason}`);
  }
}

/** Billing without the engine: the steps of a period one after the other, against a stand-in in this process. */
export type BillingRun = Awaited<ReturnType<typeof openBillingRun>>;

export async function openBillingRun(given?: Pool) {
  const database = given === undefined ? await cloneDatabase() : { pool: given, drop: async () => undefined };
  const { pool } = database;
  const standIn = await startStripeStandIn({
    directory: null,
    environment: {},
    secretKey: `sk_test_${randomBytes(12).toString('hex')}`,
  });
  const stripe = new StripeClient({
    secretKey: standIn.secretKey,
    apiBase: standIn.url,
    pool,
    callsPerSecond: 100_000,
  });
  const catalogs = new CatalogCache(pool);
  const appender = appenderOn(pool);
  const deps = { pool, catalogs };
  /** How far the clocks of Stripe and of submitting are from the machine's. */
  let clockMs = 0;
  const clock = () => new Date(Date.now() + clockMs);
  const drive = (ref: PeriodRef) => drivePeriod({ ...deps, stripe, clock }, ref);

  const command = (ref: PeriodRef, name: CommandName, rebill?: Partial<RebillOptions>) =>
    applyCommand(deps, ref, name, {
      request_id: randomUUID(),
      actor: 'test',
      reason: 'test',
      ...(rebill === undefined
        ? {}
        : { rebill: { catalog: 'pinned', plans: 'pinned', refund: 'balance', ...rebill } as RebillOptions }),
    });

  return {
    pool,
    catalogs,
    appender,
    standIn,
    stripe,
    drive,
    /** Sets Stripe's clock, and that of what is submitted, to a time. */
    setClock(timeMs: number) {
      const by = timeMs - Date.now() - clockMs;
      clockMs += by;
      standIn.advance(by);
    },
    command,
    /** Appends usage and answers what became of each event. */
    async append(events: (Partial<ReceivedUsageEvent> & { event_id: string; customer_id: string })[]) {
      const results = await appender.append(events.map(usageEvent), { may_backfill: true });
      return results.map(({ status }) => status);
    },
    async close(ref: PeriodRef): Promise<string> {
      await command(ref, 'close');
      return drive(ref);
    },
    async rebill(ref: PeriodRef, options: Partial<RebillOptions> = {}): Promise<string> {
      await command(ref, 'rebill', options);
      return drive(ref);
    },
    invoice: (ref: PeriodRef, revision: number) => readInvoice(pool, ref.customer_id, ref.start_date, revision),
    async newest(ref: PeriodRef) {
      const { rows } = await pool.query<{ revision: number }>(
        `SELECT max(revision) AS revision FROM invoices JOIN periods USING (period_id) WHERE customer_id = $1 AND start_date = $2`,
        [ref.customer_id, ref.start_date],
      );
      return readInvoice(pool, ref.customer_id, ref.start_date, rows[0]!.revision);
    },
    /** Live invoices minus credit notes of a period, as the stand-in has them, in minor units. */
    books(ref: PeriodRef): number {
      const state = standIn.state();
      const own = state.invoices.filter(({ metadata }) =>
        metadata.costplus_invoice?.startsWith(`${ref.customer_id}/${ref.start_date}/`),
      );
      return booksOf({ ...state, invoices: own });
    },
    async end() {
      await appender.close();
      await standIn.close();
      await database.drop();
    },
  };
}
