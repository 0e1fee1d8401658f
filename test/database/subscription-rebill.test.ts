import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CostplusError } from '../../src/errors/error.js';
import { cloneDatabase } from '../support/database.js';
import { inParallel } from '../support/submission.js';
import { expectBooks, openSubscription, type SubscriptionScenario } from '../support/subscription.js';

const FIRST = [1_000, 500, -100];
/** What became of the first revision's lines before the period is billed again. */
const BEFORE = ['nothing', 'half placed', 'pending', 'on a draft', 'open', 'paid', 'void', 'split'] as const;
type Before = (typeof BEFORE)[number];
const SECONDS: [string, number[]][] = [
  ['higher', [1_000, 800, -100, 40]],
  ['lower', [600, 500, -100]],
  ['the same', FIRST],
  ['nothing', []],
];

describe('a re-bill of a period whose lines stand on a subscription', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  async function open(before: Before): Promise<SubscriptionScenario> {
    const scenario = await openSubscription(database.pool, { amounts: FIRST });
    const { standIn, subscription, by } = scenario;
    if (before === 'nothing') return scenario;
    if (before === 'half placed') {
      let made = 0;
      await scenario
        .place((name) => {
          if (name === 'after create item' && ++made === 2) throw new Error('killed');
        })
        .catch(() => undefined);
      return scenario;
    }
    if (before === 'split') {
      // The draft is issued when one line is on it; the others wait for the next invoice.
      standIn.renew(subscription);
      let made = 0;
      await scenario.place((name) => {
        if (name === 'after create item' && ++made === 1) scenario.standIn.issueDrafts();
      });
      return scenario;
    }
    await scenario.place();
    if (before === 'pending') return scenario;
    const invoice = standIn.renew(subscription);
    if (before === 'on a draft') return scenario;
    scenario.standIn.issueDrafts();
    if (before === 'paid') await by((sdk) => sdk.invoices.pay(invoice));
    if (before === 'void') await by((sdk) => sdk.invoices.voidInvoice(invoice));
    return scenario;
  }

  const total = (amounts: number[]) => amounts.reduce((sum, amount) => sum + amount, 0);

  it.each(BEFORE.flatMap((before) => SECONDS.map(([name, second]) => [before, name, second] as const)))(
    'lines %s, then a revision that is %s: the books are right',
    async (before, _name, second) => {
      const scenario = await open(before);
      await scenario.next(second);
      await expectBooks(scenario, total(second));
      await scenario.close();
    },
  );

  it('deletes what waits and places the new revision whole; what is issued is followed by its differences', async () => {
    const pending = await open('pending');
    await pending.next([1_000, 800, -100, 40]);
    await pending.placeUntilDone();
    expect(pending.lines()).toEqual(['2/1:1000', '2/2:800', '2/3:-100', '2/4:40']);
    const paid = await open('paid');
    await paid.next([1_000, 800, -100, 40]);
    await paid.placeUntilDone();
    expect(paid.lines()).toEqual(['1/1:1000', '1/2:500', '1/3:-100', '2/1:300', '2/2:40']);
    expect(paid.standIn.state().invoice_items.map(({ description }) => description)).toEqual([
      'Usage of model 1',
      'Usage of model 2',
      'Usage of model 3',
      'Correction · Usage of model 2',
      'Correction · Usage of model 4',
    ]);
    for (const scenario of [pending, paid]) await scenario.close();
  });

  it('a third revision is compared with all that stands, earlier differences too', async () => {
    const scenario = await open('paid');
    await scenario.next([1_000, 800, -100]);
    await expectBooks(scenario, 1_700);
    scenario.standIn.renew(scenario.subscription);
    scenario.standIn.issueDrafts();
    await scenario.next([1_000, 650, -100, 5]);
    await expectBooks(scenario, 1_555);
    expect(scenario.lines().filter((line) => line.startsWith('3/'))).toEqual(['3/1:-150', '3/2:5']);
    expect(scenario.standIn.state().invoice_items.at(-2)).toMatchObject({
      description: 'Correction · Usage of model 2',
    });
    await scenario.close();
  });

  it('is finished with the books right wherever it was killed', async () => {
    const second = [1_000, 800];
    const cases: { before: Before; n: number }[] = [];
    for (const before of ['half placed', 'on a draft', 'split'] as const) {
      const clean = await open(before);
      await clean.next(second);
      const names: string[] = [];
      await clean.pass();
      await clean.place((name) => void names.push(name));
      // What is after one step is before the next.
      const points = [...names.keys()].filter((n) => names[n]!.startsWith('before ') || n === names.length - 1);
      cases.push(...points.map((n) => ({ before, n })));
      await clean.close();
    }
    expect(cases.length).toBeGreaterThan(40);
    await inParallel(cases, 4, async ({ before, n }) => {
      const scenario = await open(before);
      await scenario.next(second);
      await scenario.pass();
      let passed = 0;
      await scenario
        .place(() => {
          if (passed++ === n) throw new Error('killed');
        })
        .catch((error: Error) => {
          if (error.message !== 'killed') throw error;
        });
      await expectBooks(scenario, total(second));
      await scenario.close();
    });
  });

  it('is finished with the books right when the draft is issued anywhere in the middle', async () => {
    const second = [900, 800];
    const clean = await open('on a draft');
    await clean.next(second);
    let steps = 0;
    await clean.place(() => void steps++);
    await clean.close();
    await inParallel([...Array(steps).keys()], 4, async (n) => {
      const scenario = await open('on a draft');
      await scenario.next(second);
      let passed = 0;
      await scenario
        .place(() => {
          if (passed++ === n) scenario.standIn.issueDrafts();
        })
        .catch((error: unknown) => {
          if (!(error instanceof CostplusError) || !error.retryable) throw error;
        });
      await expectBooks(scenario, total(second));
      await scenario.close();
    });
  });

  it('waits until no request of an unfinished revision can arrive any more', async () => {
    const scenario = await open('half placed');
    await scenario.next([1_000]);
    await expect(scenario.place()).rejects.toMatchObject({ code: 'stripe_unavailable', retryable: true });
    expect(scenario.lines()).toEqual(['1/1:1000', '1/2:500']);
    await scenario.pass();
    expect(await scenario.place()).toEqual({ outcome: 'placed', lines: 1 });
    expect(scenario.lines()).toEqual(['2/1:1000']);
    await scenario.close();
  });

  it('a zombie of the earlier revision adds nothing to what the next one placed', async () => {
    const scenario = await openSubscription(database.pool, { amounts: FIRST });
    let wake: () => void = () => undefined;
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    let made = 0;
    const zombie = scenario.place(async (name) => {
      if (name === 'before create item' && ++made === 3) await asleep;
    });
    while (made < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    await scenario.next([77]);
    await scenario.pass();
    expect(await scenario.place()).toEqual({ outcome: 'placed', lines: 1 });
    wake();
    await expect(zombie).rejects.toMatchObject({ code: 'stale_inputs' });
    expect(scenario.lines()).toEqual(['2/1:77']);
    await scenario.close();
  });

  it('parks where an invoice with its lines is voided while it is corrected', async () => {
    const scenario = await open('open');
    const invoice = scenario.standIn
      .state()
      .invoices.find(({ billing_reason }) => billing_reason === 'subscription_cycle')!;
    await scenario.next([2_000]);
    const outcome = await scenario.place(async (name) => {
      if (name === 'after settle') await scenario.by((sdk) => sdk.invoices.voidInvoice(invoice.id));
    });
    expect(outcome).toEqual({
      outcome: 'parked',
      reason: "The period's lines at Stripe come to 6.00 usd, revision 2 to 20.00 usd.",
    });
    await scenario.next([2_000]);
    await expectBooks(scenario, 2_000);
    await scenario.close();
  });
});
