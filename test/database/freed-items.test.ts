import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCorrection } from '../support/correction.js';
import { cloneDatabase } from '../support/database.js';
import { expectExactlyOnce, inParallel, openScenario, type Scenario } from '../support/submission.js';

const AMOUNTS = [1_000, -250, 0, 375];
/** A credit with a tax code is an item by itself, the others are lines of the draft. */
const REFERENCES = [null, { tax_code: 'txcd_10000000' }, null, { product: 'prod_report' }];

/** Ends the attempt at its n-th failpoint, as a killed process would; whether it came that far. */
async function killAt(scenario: Scenario, n: number): Promise<boolean> {
  let passed = 0;
  try {
    await scenario.submit(() => {
      if (passed++ === n) throw new Error('killed');
    });
    return false;
  } catch (error) {
    if ((error as Error).message !== 'killed') throw error;
    return true;
  }
}

/** Stripe does not document whether a deleted draft takes its items along: here it does not. */
describe('lines that outlive a deleted draft', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  const open = () => openScenario(database.pool, { amounts: AMOUNTS, references: REFERENCES, freesItems: true });

  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  it('are deleted too, wherever the attempt and the one after it were killed', async () => {
    let steps = 0;
    const clean = await open();
    await clean.submit(() => void steps++);
    await clean.close();
    const kills = Array.from({ length: steps }, (_, n) => n);
    await inParallel(kills, 4, async (n) => {
      const scenario = await open();
      expect(await killAt(scenario, n)).toBe(true);
      // The second attempt has a draft to delete, and dies on its way too.
      await killAt(scenario, (n * 7) % steps);
      await expectExactlyOnce(scenario, AMOUNTS);
      await scenario.close();
    });
  });

  it('are deleted with a draft that a later revision replaces, also when that is interrupted', async () => {
    const first = await openCorrection(database.pool, { before: 'draft', first: [700, 300], freesItems: true });
    await first.next([900]);
    let steps = 0;
    await first.correct(() => void steps++);
    expect(pendingOf(first)).toEqual([]);
    expect(first.books()).toBe(900);
    await first.close();
    await inParallel(
      Array.from({ length: steps }, (_, n) => n),
      4,
      async (n) => {
        const scenario = await openCorrection(database.pool, { before: 'draft', first: [700, 300], freesItems: true });
        await scenario.next([900]);
        let passed = 0;
        await scenario
          .correct(() => {
            if (passed++ === n) throw new Error('killed');
          })
          .catch((error: Error) => expect(error.message).toBe('killed'));
        await scenario.correctUntilDone();
        expect(pendingOf(scenario)).toEqual([]);
        expect(scenario.books()).toBe(900);
        await scenario.close();
      },
    );
  });
});

function pendingOf({ standIn }: Scenario) {
  return standIn.state().invoice_items.filter(({ invoice }) => invoice === null);
}
