import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CostplusError } from '../../src/errors/error.js';
import { type Before, type CorrectionScenario, expectCorrected, openCorrection } from '../support/correction.js';
import { cloneDatabase } from '../support/database.js';
import { inParallel, TEST_TIMEOUT_MILLISECONDS } from '../support/submission.js';

const FIRST = [1_003, 517, -211, 333];
const AUTOMATIC = { behavior: 'exclusive' as const, basis_points: 1_900, by_tax_code: {} };
/** More than was not paid yet: a part of what is taken back was paid. */
const LOWER = [203, 117, -111];

const CASES: { before: Before; second: number[]; refund: 'balance' | 'refund' }[] = [
  { before: 'paid', second: LOWER, refund: 'refund' },
  { before: 'part_paid', second: LOWER, refund: 'refund' },
  { before: 'part_paid', second: [2_000], refund: 'balance' },
  { before: 'part_uncollectible', second: [], refund: 'balance' },
];

describe('a taxed invoice that was paid, or a part of it, when the period is billed again', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  const open = async ({ before, second, refund }: (typeof CASES)[number], timeoutMilliseconds?: number) => {
    const scenario = await openCorrection(database.pool, {
      before,
      first: FIRST,
      onTop: { automatic: AUTOMATIC },
      ...(timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds }),
    });
    await scenario.next(second, refund);
    return scenario;
  };
  const stepsOf = async (of: (typeof CASES)[number]) => {
    const scenario = await open(of);
    const names: string[] = [];
    await scenario.correct((name) => void names.push(name));
    const money = moneyOf(scenario);
    await scenario.close();
    // What comes after a step comes before the next one.
    return { points: [...names.keys()].filter((n) => names[n]!.startsWith('before ')), money };
  };
  /** What of each invoice is asked for, was paid, and went back. */
  const moneyOf = (scenario: CorrectionScenario) => {
    const { invoices, credit_notes } = scenario.standIn.state();
    return {
      invoices: invoices.map((one) => [one.status, one.subtotal, one.amount_paid, one.amount_remaining]),
      credit_notes: credit_notes.map((note) => [note.subtotal, note.total, note.refund_amount, note.credit_amount]),
    };
  };

  it('is not voided: what is asked for less comes off what remains, and only the rest goes back', async () => {
    const { money } = await stepsOf(CASES[1]!);
    // 16.42 and 19 % of tax are 19.54, of which 7.82 were paid; the new revision is 2.09 and 0.40 of tax.
    expect(money).toEqual({
      invoices: [['paid', 1_642, 782, 0]],
      credit_notes: [[1_433, 1_705, 533, 0]],
    });
  });

  it.each(CASES)('ends with the books right wherever it is killed: $before, $refund, to $second', async (of) => {
    const { points, money } = await stepsOf(of);
    await inParallel(points, 6, async (n) => {
      const scenario = await open(of);
      let passed = 0;
      await scenario
        .correct(() => {
          if (passed++ === n) throw new Error('killed');
        })
        .catch((error: Error) => {
          if (error.message !== 'killed') throw error;
        });
      await expectCorrected(scenario);
      expect(moneyOf(scenario)).toEqual(money);
      await scenario.close();
    });
  });

  it.each(['500_saved', '500_saved_after', 'timeout_after', 'delay', 'slow'] as const)(
    'ends with the books right whichever call for credit notes meets %s',
    async (kind) => {
      const of = CASES[1]!;
      const clean = await open(of);
      await clean.correct();
      const money = moneyOf(clean);
      const calls = clean.standIn.state().requests.filter(({ path }) => path.includes('credit_notes')).length;
      await clean.close();
      const tries = Array.from({ length: calls }, (_, skip) => ({ skip, count: skip % 3 === 1 ? 4 : 1 }));
      await inParallel(tries, 24, async ({ skip, count }) => {
        const scenario = await open(of, TEST_TIMEOUT_MILLISECONDS);
        scenario.standIn.faults.order({
          match: { path: 'credit_notes' },
          kind,
          skip,
          count,
          delay_ms: TEST_TIMEOUT_MILLISECONDS * 1.5,
        });
        await scenario.correctUntilDone();
        await expectCorrected(scenario);
        expect(moneyOf(scenario)).toEqual(money);
        await scenario.close();
      });
    },
  );

  it.each([
    { what: 'a part', share: 0.5 },
    { what: 'all of it', share: 1 },
  ])('sees a payment of $what that comes at any moment', async ({ share }) => {
    for (const of of [CASES[1]!, { before: 'open' as const, second: LOWER, refund: 'refund' as const }]) {
      const { points } = await stepsOf(of);
      const ends = new Set<string>();
      await inParallel(points, 6, async (n) => {
        const scenario = await open(of);
        const { id } = scenario.invoices()[0]!;
        let passed = 0;
        await scenario.correct(() => {
          if (passed++ !== n) return;
          const { status, amount_remaining } = scenario.invoices().find((one) => one.id === id)!;
          if (status !== 'void' && amount_remaining > 0) {
            scenario.standIn.payPart(id, Math.ceil(amount_remaining * share));
          }
        });
        await expectCorrected(scenario);
        // What was paid beyond what the invoice comes to now has gone back.
        const invoice = scenario.invoices().find((one) => one.id === id)!;
        if (invoice.status !== 'void') {
          const notes = scenario.standIn.state().credit_notes.filter((note) => note.invoice === id);
          const back = notes.reduce((sum, note) => sum + note.refund_amount + note.credit_amount, 0);
          const left = invoice.total - notes.reduce((sum, note) => sum + note.total, 0);
          expect(invoice.amount_paid - back + invoice.amount_remaining).toBe(left);
        }
        ends.add(JSON.stringify(moneyOf(scenario)));
        await scenario.close();
      });
      // Before it and after it are two different things, or three where it comes between reading and giving back.
      expect(ends.size).toBeGreaterThan(1);
    }
  });

  it('an attempt that was given up and wakes up later changes nothing', async () => {
    const of = CASES[1]!;
    const { points, money } = await stepsOf(of);
    await inParallel(points, 6, async (n) => {
      const scenario = await open(of);
      let passed = 0;
      let wake: () => void = () => undefined;
      let reach: () => void = () => undefined;
      const reached = new Promise<void>((resolve) => {
        reach = resolve;
      });
      const gate = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const zombie = scenario
        .correct(async () => {
          if (passed++ !== n) return;
          reach();
          await gate;
        })
        .catch((error: unknown) => error);
      await reached;
      await expectCorrected(scenario);
      wake();
      const ended = await zombie;
      if (ended instanceof Error) expect(ended).toBeInstanceOf(CostplusError);
      await expectCorrected(scenario);
      expect(moneyOf(scenario)).toEqual(money);
      await scenario.close();
    });
  });
});
