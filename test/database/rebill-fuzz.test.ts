import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { listRevisions } from '../../src/invoicing/invoice-list.js';
import { listIssuedInvoices } from '../../src/invoicing/issued-invoices.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

const MONTHS = ['2026-09', '2026-10', '2026-11'];

type Act =
  | { do: 'event'; month: number }
  | { do: 'void'; nth: number }
  | { do: 'rebill'; month: number; refund: 'balance' | 'refund' }
  | { do: 'pay'; nth: number }
  | { do: 'close' };

/** What can happen to three months of one customer. */
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('event' as const), month: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('void' as const), nth: fc.nat(30) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('rebill' as const),
      month: fc.nat(2),
      refund: fc.constantFrom('balance' as const, 'refund' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pay' as const), nth: fc.nat(10) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
);

let run: BillingRun;
let customers = 0;
beforeAll(async () => {
  run = await openBillingRun();
  await publishBasics(run.pool, { rules: [{ markup: '1.00' }] });
});
afterAll(() => run.end());

const periodOf = (ref: PeriodRef) => findPeriod(run.pool, ref.customer_id, ref.start_date);

/** The books of a period equal its newest revision, and every revision of it can be proved. */
async function checkPeriod(ref: PeriodRef): Promise<number> {
  const period = (await periodOf(ref))!;
  const revisions = await listRevisions(run.pool, period.period_id);
  const total = Math.round(Number(revisions.at(-1)!.total) * 100);
  expect(run.books(ref)).toBe(total);
  const filter = { customer_id: ref.customer_id, from: ref.start_date, current: true };
  const [recorded] = (await listIssuedInvoices(run.pool, { cursor: null, limit: 1 }, filter)).data;
  expect(recorded).toMatchObject({ start_date: ref.start_date, books: recorded!.total });
  for (const { revision } of revisions) {
    expect((await verifyInvoice(run, ref.customer_id, ref.start_date, revision)).difference).toBeNull();
  }
  return total;
}

it('whatever late usage, voids, re-bills, payments and closings follow each other, the books are right', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 8, maxLength: 24 }), async (acts) => {
      const id = `fuzz-${++customers}`;
      await customer(run.pool, id);
      const refs = MONTHS.map((month): PeriodRef => ({ customer_id: id, start_date: `${month}-01` }));
      const events: string[] = [];
      const voided = new Set<string>();
      const append = async (month: number) => {
        const eventId = `e${events.length}`;
        const [status] = await run.append([
          {
            customer_id: id,
            event_id: eventId,
            occurred_at: `${MONTHS[month]}-05T00:00:00Z`,
            usage: { output_tokens: 2_000, input_tokens: 0 },
          },
        ]);
        expect(['accepted', 'late']).toContain(status);
        events.push(eventId);
      };
      for (const month of [0, 1, 2]) await append(month);
      let closed = 0;
      for (const one of acts) {
        if (one.do === 'event') await append(one.month);
        else if (one.do === 'void') {
          const eventId = events[one.nth % events.length]!;
          await voidUsage(run.pool, id, eventId, { reason: 'fuzz', actor: 'test' });
          voided.add(eventId);
        } else if (one.do === 'rebill') {
          if (one.month < closed) await run.rebill(refs[one.month]!, { refund: one.refund });
        } else if (one.do === 'close') {
          if (closed < refs.length) await run.close(refs[closed++]!);
        } else {
          const due = run.standIn
            .state()
            .invoices.filter((it) => it.status === 'open' && it.metadata.costplus_invoice?.startsWith(`${id}/`));
          const chosen = due[one.nth % Math.max(1, due.length)];
          if (chosen) await run.stripe.call('pay', {}, (sdk) => sdk.invoices.pay(chosen.id));
        }
        for (const ref of refs.slice(0, closed)) {
          const period = (await periodOf(ref))!;
          const [newest] = (await listRevisions(run.pool, period.period_id)).slice(-1);
          expect(run.books(ref)).toBe(Math.round(Number(newest!.total) * 100));
        }
      }
      // In the end everything is closed and billed again once: what stands is every event that was not voided, once.
      while (closed < refs.length) await run.close(refs[closed++]!);
      for (const ref of refs) await run.rebill(ref);
      let books = 0;
      for (const ref of refs) books += await checkPeriod(ref);
      // 2,000 tokens at $15.00 a million: 3 cents, doubled.
      expect(books).toBe(6 * (events.length - voided.size));
    }),
    { numRuns: 25 },
  );
});
