import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../src/dev/stripe-faults.js';
import { CostplusError } from '../../src/errors/error.js';
import { type Before, type CorrectionScenario, expectCorrected, openCorrection } from '../support/correction.js';
import { cloneDatabase } from '../support/database.js';
import { inParallel, TEST_TIMEOUT_MILLISECONDS } from '../support/submission.js';

const FIRST = [1_000, 500, -200];
const TOTAL = 1_300;
/** Every way from a first revision to a second: what the first one is at Stripe, what the second comes to. */
const CASES: {
  name: string;
  before: Before;
  second: number[];
  refund?: 'refund';
  live: string[];
  credits: number[];
}[] = [
  { name: 'a draft is deleted and replaced', before: 'draft', second: [2_000], live: ['open 2000'], credits: [] },
  { name: 'an open one is voided and replaced', before: 'open', second: [900], live: ['open 900'], credits: [] },
  { name: 'an uncollectible one likewise', before: 'uncollectible', second: [900], live: ['open 900'], credits: [] },
  {
    name: 'paid, higher: one for the difference',
    before: 'paid',
    second: [1_000, 800, -200],
    live: ['paid 1300', 'open 300'],
    credits: [],
  },
  { name: 'paid, lower: a credit note', before: 'paid', second: [1_000], live: ['paid 1300'], credits: [300] },
  {
    name: 'paid, lower: a refund',
    before: 'paid',
    second: [1_000],
    refund: 'refund',
    live: ['paid 1300'],
    credits: [300],
  },
  { name: 'paid, the same: nothing', before: 'paid', second: [900, 400], live: ['paid 1300'], credits: [] },
  { name: 'paid, nothing at all any more', before: 'paid', second: [], live: ['paid 1300'], credits: [1_300] },
  {
    name: 'paid, below zero: credited whole, and a negative one',
    before: 'paid',
    second: [-500],
    live: ['paid 1300', 'paid -500'],
    credits: [1_300],
  },
  { name: 'open, nothing at all any more: voided', before: 'open', second: [], live: [], credits: [] },
  { name: 'void already: replaced', before: 'void', second: [700], live: ['open 700'], credits: [] },
  { name: 'deleted at Stripe: replaced', before: 'deleted', second: [700], live: ['open 700'], credits: [] },
  { name: 'nothing before: a first one', before: 'nothing', second: [700], live: ['open 700'], credits: [] },
];

describe('a period that is billed again, at Stripe', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  const open = async (of: (typeof CASES)[number], timeoutMilliseconds?: number): Promise<CorrectionScenario> => {
    const scenario = await openCorrection(database.pool, {
      before: of.before,
      first: FIRST,
      ...(timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds }),
    });
    await scenario.next(of.second, of.refund);
    return scenario;
  };

  const seen = (scenario: CorrectionScenario) => {
    const { invoices, credit_notes } = scenario.standIn.state();
    return {
      live: invoices.filter(({ status }) => status !== 'void').map(({ status, subtotal }) => `${status} ${subtotal}`),
      credits: credit_notes.map(({ amount }) => amount),
    };
  };

  it.each(CASES)('$name', async (of) => {
    const scenario = await open(of);
    await expectCorrected(scenario);
    expect(seen(scenario)).toEqual({ live: of.live, credits: of.credits });
    const [note] = scenario.standIn.state().credit_notes;
    if (note) expect(note.refund_amount).toBe(of.refund === 'refund' ? note.amount : 0);
    // Once more: nothing happens any more.
    const requests = scenario.standIn.state().requests.length;
    await scenario.correct();
    expect(scenario.standIn.state().requests).toHaveLength(requests);
    await scenario.close();
  });

  it.each(CASES)('ends with the books right wherever it is killed: $name', async (of) => {
    const clean = await open(of);
    const names: string[] = [];
    await clean.correct((name) => void names.push(name));
    await clean.close();
    await inParallel([...names.keys()], 4, async (n) => {
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
      expect(seen(scenario)).toEqual({ live: of.live, credits: of.credits });
      await scenario.close();
    });
  });

  it.each(FAULT_KINDS)('ends with the books right whichever call meets %s', async (kind) => {
    const chosen = CASES.filter(({ name }) => /^(an open one is voided|paid, lower: a refund)/.test(name));
    for (const of of chosen) {
      const clean = await open(of);
      const before = clean.standIn.state().requests.length;
      await clean.correct();
      const calls = clean.standIn.state().requests.length - before;
      await clean.close();
      // Once: the replay succeeds. Four times, at some calls: the replay fails too, and the next attempt starts in it.
      const tries = Array.from({ length: calls }, (_, skip) => ({ skip, count: skip % 3 === 1 ? 4 : 1 }));
      await inParallel(tries, 24, async ({ skip, count }) => {
        const scenario = await open(of, TEST_TIMEOUT_MILLISECONDS);
        scenario.standIn.faults.order({
          kind,
          skip,
          count,
          delay_ms: TEST_TIMEOUT_MILLISECONDS * 1.5,
          ...(kind === '429' ? { retry_after_seconds: 1 } : {}),
        });
        await scenario.correctUntilDone();
        await expectCorrected(scenario);
        expect(seen(scenario)).toEqual({ live: of.live, credits: of.credits });
        await scenario.close();
      });
    }
  });

  it('a payment that comes at any moment is seen, and wins', async () => {
    const of = CASES.find(({ before }) => before === 'open')!;
    const clean = await open(of);
    const names: string[] = [];
    await clean.correct((name) => void names.push(name));
    await clean.close();
    const ends = new Set<string>();
    await inParallel([...names.keys()], 4, async (n) => {
      const scenario = await open(of);
      const { id } = scenario.invoices()[0]!;
      let passed = 0;
      await scenario.correct(async () => {
        // Stripe refuses the payment of what is void by then.
        if (passed++ === n) await scenario.pay(id).catch(() => undefined);
      });
      await expectCorrected(scenario);
      ends.add(JSON.stringify(seen(scenario)));
      await scenario.close();
    });
    expect([...ends].sort()).toEqual([
      JSON.stringify({ live: ['open 900'], credits: [] }),
      JSON.stringify({ live: [`paid ${TOTAL}`], credits: [400] }),
    ]);
  });

  it('an attempt that was given up and wakes up later changes nothing', async () => {
    for (const of of CASES.filter(({ before }) => before === 'paid' || before === 'open')) {
      const clean = await open(of);
      const names: string[] = [];
      await clean.correct((name) => void names.push(name));
      await clean.close();
      const points = [...names.keys()].filter((n) => names[n]!.startsWith('before '));
      await inParallel(points, 4, async (n) => {
        const scenario = await open(of);
        let passed = 0;
        let wake: () => void = () => undefined;
        const asleep = new Promise<void>((reached) => {
          const gate = new Promise<void>((release) => {
            wake = release;
          });
          scenario
            .correct(async () => {
              if (passed++ !== n) return;
              reached();
              await gate;
            })
            .then(
              () => ended(),
              (error: unknown) => ended(error),
            );
        });
        let ended: (error?: unknown) => void = () => undefined;
        const zombie = new Promise<unknown>((resolve) => {
          ended = resolve;
        });
        await asleep;
        await expectCorrected(scenario);
        wake();
        const error = await zombie;
        if (error !== undefined) expect(error).toBeInstanceOf(CostplusError);
        await expectCorrected(scenario);
        expect(seen(scenario)).toEqual({ live: of.live, credits: of.credits });
        await scenario.close();
      });
    }
  });

  it('an attempt of the first revision that wakes up after the second is through changes nothing', async () => {
    const clean = await openCorrection(database.pool, { before: 'nothing', first: FIRST });
    const names: string[] = [];
    await clean.submit((name) => void names.push(name));
    await clean.close();
    const points = [...names.keys()].filter((n) => names[n]!.startsWith('before '));
    await inParallel(points, 4, async (n) => {
      const scenario = await openCorrection(database.pool, { before: 'nothing', first: FIRST });
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
        .submit(async () => {
          if (passed++ !== n) return;
          reach();
          await gate;
        })
        .then(
          ({ outcome }) => outcome,
          (error: CostplusError) => error.code,
        );
      await reached;
      await scenario.next([700]);
      await expectCorrected(scenario);
      wake();
      expect(['stale_inputs', 'parked', 'confirmed']).toContain(await zombie);
      await expectCorrected(scenario);
      expect(seen(scenario)).toEqual({ live: ['open 700'], credits: [] });
      await scenario.close();
    });
  });

  it('stays right over any number of revisions, payments and kills', async () => {
    const amounts = fc.array(fc.integer({ min: -300, max: 900 }), { maxLength: 4 });
    const step = fc.record({
      amounts,
      refund: fc.constantFrom('balance' as const, 'refund' as const),
      pay: fc.boolean(),
      kill: fc.option(fc.nat(30), { nil: -1 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<Before>('draft', 'open', 'paid', 'void', 'nothing'),
        fc.array(step, { minLength: 1, maxLength: 4 }),
        async (before, steps) => {
          const scenario = await openCorrection(database.pool, { before, first: FIRST });
          for (const { amounts: next, refund, pay, kill } of steps) {
            await scenario.next(next, refund);
            let passed = 0;
            await scenario
              .correct(() => {
                if (passed++ === kill) throw new Error('killed');
              })
              .catch((error: Error) => {
                if (error.message !== 'killed') throw error;
              });
            await expectCorrected(scenario);
            const due = scenario.invoices().find(({ status }) => status === 'open');
            if (pay && due) await scenario.pay(due.id);
          }
          await scenario.close();
        },
      ),
      { numRuns: 15 },
    );
  });
});
