import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AllowanceUse, RolledOver } from '../../src/contracts/balances.js';
import { type CreditGrantBody, creditGrantSchema } from '../../src/contracts/credit.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { listRevisions } from '../../src/invoicing/invoice-list.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { grantCredits } from '../../src/ledger/credits.js';
import { readRollover } from '../../src/ledger/handed-on.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

const MONTHS = ['2026-08', '2026-09', '2026-10', '2026-11'];
/** Whole dollars, so that an event of 3.00 is often covered in part. */
const GRANTED = 700;
const EVENT = 300;
const RUNS_COUNT = Number(process.env.FUZZ_RUNS ?? 8);

type Act =
  | { do: 'event'; month: number; count: number }
  | { do: 'void'; nth: number }
  | { do: 'rebill'; month: number }
  | { do: 'close' };

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('event' as const), month: fc.nat(3), count: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('void' as const), nth: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('rebill' as const), month: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
);

let run: BillingRun;
let customers = 0;
beforeAll(async () => {
  run = await openBillingRun();
  await publishBasics(run.pool);
});
afterAll(() => run.end());

const cents = (amount: string) => Math.round(Number(amount) * 100);
const rest = (rollover: RolledOver[]) => rollover.reduce((sum, { amount }) => sum + exact(amount), 0);
const used = (uses: AllowanceUse[]) => uses.reduce((sum, one) => sum + exact(one.used), 0);
/** Cents of an exact text. */
function exact(text: string): number {
  const [n, d = '1'] = text.split('/');
  return (Number(n) * 100) / Number(d);
}

/** Where an allowance is: what its period's own invoice took, what others took of it for late usage, what is left. */
async function booksOf(ref: PeriodRef) {
  const { period_id } = (await findPeriod(run.pool, ref.customer_id, ref.start_date))!;
  const { balances, lines, total } = await run.newest(ref);
  const { rows } = await run.pool.query<{ taken: AllowanceUse[] }>(
    `SELECT taken FROM rollover_entries r WHERE period_id = $1 AND by_period <> $1
       AND by_revision = (SELECT max(revision) FROM invoices i WHERE i.period_id = r.by_period)`,
    [period_id],
  );
  const covered = lines.filter(({ kind }) => kind === 'allowance').reduce((sum, { amount }) => sum - cents(amount), 0);
  return {
    period_id,
    total: cents(total),
    opened: rest(balances.opening.rollover),
    own: covered,
    carried: rows.reduce((sum, { taken }) => sum + used(taken), 0),
    left: rest((await readRollover(run.pool, period_id)) ?? []),
  };
}

/** Does to four months of a customer on a plan what is said, and closes all of them; `check` looks after each act. */
async function runChain(
  acts: readonly Act[],
  terms: Partial<PlanInput>,
  check: (closed: PeriodRef[]) => Promise<void> = async () => undefined,
  grant: CreditGrantBody | null = null,
) {
  const id = `chain-${++customers}`;
  await publishPlan(
    run.pool,
    { plan_id: id, currency: 'usd', rules: [{ markup: '0' }], submission: 'none', ...terms },
    'test',
  );
  const starts = `${MONTHS[0]}-01T00:00:00Z`;
  await customer(run.pool, id, { plan_id: id, starts_at: starts }, Date.parse(starts));
  if (grant) await grantCredits(run.pool, id, grant, 'test');
  const refs = MONTHS.map((month): PeriodRef => ({ customer_id: id, start_date: `${month}-01` }));
  for (const { start_date } of refs) await ensurePeriodAt(run.pool, id, Date.parse(start_date), NOW_MS);
  const events: string[] = [];
  const voided = new Set<string>();
  let closed = 0;
  for (const one of acts) {
    if (one.do === 'event') {
      for (let i = 0; i <= one.count; i++) {
        const event_id = `e${events.length}`;
        const usage = { input_tokens: 1_000_000 };
        await run.append([{ customer_id: id, event_id, occurred_at: `${MONTHS[one.month]}-05T00:00:00Z`, usage }]);
        events.push(event_id);
      }
    } else if (one.do === 'void') {
      if (events.length === 0) continue;
      const eventId = events[one.nth % events.length]!;
      await voidUsage(run.pool, id, eventId, { reason: 'fuzz', actor: 'test' });
      voided.add(eventId);
    } else if (one.do === 'rebill') {
      if (one.month < closed) await run.rebill(refs[one.month]!);
    } else if (closed < refs.length) await run.close(refs[closed++]!);

    await check(refs.slice(0, closed));
  }
  while (closed < refs.length) await run.close(refs[closed++]!);
  return { id, refs, billed: events.length - voided.size };
}

/** At any time: nothing of an allowance is at two places. */
async function checkBooks(closed: readonly PeriodRef[], limit: string | null): Promise<void> {
  const books = [];
  for (const ref of closed) books.push(await booksOf(ref));
  for (const [index, { opened, own, carried, left }] of books.entries()) {
    expect(own + carried + left).toBeLessThanOrEqual(GRANTED + opened);
    if (limit === null) expect(own + carried + left).toBe(GRANTED + opened);
    // The next one has no more than there is.
    const next = books[index + 1];
    if (next) expect(next.opened).toBeLessThanOrEqual(left);
  }
}

const changed = async (id: string) => {
  const { rows } = await run.pool.query<{ start_date: string }>(
    'SELECT start_date FROM periods WHERE customer_id = $1 AND opening_changes IS NOT NULL ORDER BY start_date',
    [id],
  );
  return rows.map(({ start_date }) => start_date);
};

it.each([null, '5'])(
  'of an allowance that rolls over (limit %s) nothing is used twice and nothing is lost, whatever is late, voided and billed again',
  async (limit) => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 6, maxLength: 16 }), async (acts) => {
        const allowance = { charge: '7', rollover: true, ...(limit === null ? {} : { rollover_limit: limit }) };
        const { id, refs, billed } = await runChain(acts, { allowance }, (closed) => checkBooks(closed, limit));
        // All is billed again once, in order: what is left goes on to whoever is next.
        for (const ref of refs) await run.rebill(ref);
        expect(await changed(id)).toEqual([]);
        const books = [];
        for (const ref of refs) books.push(await booksOf(ref));
        for (const [index, { left }] of books.entries()) {
          if (books[index + 1]) expect(books[index + 1]!.opened).toBe(left);
        }
        const taken = books.reduce((sum, { own, carried }) => sum + own + carried, 0);
        expect(books.reduce((sum, { total }) => sum + total, 0)).toBe(billed * EVENT - taken);
        const granted = GRANTED * refs.length;
        const remaining = books.at(-1)!.left;
        if (limit === null) expect(taken + remaining).toBe(granted);
        else expect(taken + remaining).toBeLessThanOrEqual(granted);
        for (const { customer_id, start_date } of refs) {
          const { period_id } = (await findPeriod(run.pool, customer_id, start_date))!;
          for (const { revision } of await listRevisions(run.pool, period_id)) {
            const proof = await verifyInvoice(run, customer_id, start_date, revision);
            expect(proof.difference).toBeNull();
          }
        }
      }),
      { numRuns: RUNS_COUNT },
    );
  },
);

it('a commitment asks once for what is missing, and late usage counts towards it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 6, maxLength: 16 }),
      fc.integer({ min: 0, max: 60 }),
      async (acts, dollars) => {
        const { id, refs, billed } = await runChain(acts, { commitment: { amount: `${dollars}`, periods: 4 } });
        for (const ref of refs) await run.rebill(ref);
        expect(await changed(id)).toEqual([]);
        let total = 0;
        for (const ref of refs) total += cents((await run.newest(ref)).total);
        expect(total).toBe(Math.max(dollars * 100, billed * EVENT));
      },
    ),
    { numRuns: RUNS_COUNT },
  );
});

it('prepaid credits pay once, and each unit of them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 6, maxLength: 16 }),
      fc.integer({ min: 1, max: 40 }),
      async (acts, dollars) => {
        const burned = async (id: string) => {
          const { rows } = await run.pool.query<{ burned: string | null }>(
            `SELECT sum(burned::numeric)::text AS burned FROM credit_entries e JOIN credit_grants g USING (grant_id)
           WHERE g.customer_id = $1 AND e.revision = (SELECT max(revision) FROM invoices i WHERE i.period_id = e.period_id)`,
            [id],
          );
          return cents(rows[0]!.burned ?? '0');
        };
        const grant = creditGrantSchema.parse({
          name: 'Pack',
          amount: `${dollars}`,
          effective_from: '2026-08-01T00:00:00Z',
        });
        const { id, refs, billed } = await runChain(
          acts,
          {},
          async (closed) => {
            for (const { customer_id } of closed.slice(0, 1)) {
              expect(await burned(customer_id)).toBeLessThanOrEqual(dollars * 100);
            }
          },
          grant,
        );
        for (const ref of refs) await run.rebill(ref);
        // What a later one left free shows where it was missing, until all of it is where it is needed.
        for (const start_date of await changed(id)) await run.rebill({ customer_id: id, start_date });
        let total = 0;
        for (const ref of refs) total += cents((await run.newest(ref)).total);
        expect(total).toBe(billed * EVENT - (await burned(id)));
        expect(await changed(id)).toEqual([]);
        expect(await burned(id)).toBe(Math.min(dollars * 100, billed * EVENT));
      },
    ),
    { numRuns: RUNS_COUNT },
  );
});
