import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CostplusError } from '../../src/errors/error.js';
import { cloneDatabase } from '../support/database.js';
import { expectBooks, openSubscription, type SubscriptionScenario } from '../support/subscription.js';

type Action =
  | { does: 'place'; killedAt: number }
  | { does: 'rebill'; amounts: number[] }
  | { does: 'renew' | 'issue' | 'pay' | 'void' | 'wait' };

const amounts = fc.array(fc.integer({ min: -300, max: 900 }), { minLength: 1, maxLength: 4 });
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ does: fc.constant('place' as const), killedAt: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ does: fc.constant('rebill' as const), amounts }),
  fc.record({
    does: fc.constantFrom('renew' as const, 'issue' as const, 'pay' as const, 'void' as const, 'wait' as const),
  }),
);

async function act(
  { standIn, by, subscription, place, next, pass }: SubscriptionScenario,
  todo: Action,
): Promise<void> {
  const open = standIn
    .state()
    .invoices.filter(({ status, billing_reason }) => status === 'open' && billing_reason === 'subscription_cycle')
    .at(-1);
  switch (todo.does) {
    case 'place': {
      let passed = 0;
      await place(() => {
        if (passed++ === todo.killedAt) throw new Error('killed');
      }).catch((error: Error) => {
        if (error.message !== 'killed' && !(error instanceof CostplusError && error.retryable)) throw error;
      });
      break;
    }
    case 'rebill':
      await next(todo.amounts);
      break;
    case 'renew':
      standIn.renew(subscription);
      break;
    case 'issue':
      standIn.issueDrafts();
      break;
    case 'pay':
      if (open) await by((sdk) => sdk.invoices.pay(open.id));
      break;
    case 'void':
      if (open) await by((sdk) => sdk.invoices.voidInvoice(open.id));
      break;
    case 'wait':
      await pass();
  }
}

describe('whatever happens to lines on a subscription, and in whatever order', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  it('the next re-bill ends with the books right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 12 }), amounts, async (actions, last) => {
        const scenario = await openSubscription(database.pool, { amounts: [500, -40, 7] });
        for (const one of actions) await act(scenario, one);
        await scenario.next(last);
        await expectBooks(
          scenario,
          last.reduce((sum, amount) => sum + amount, 0),
        );
        // No line of any revision is there twice.
        const lines = scenario.lines().map((line) => line.slice(0, line.indexOf(':')));
        expect(new Set(lines).size).toBe(lines.length);
        await scenario.close();
      }),
      { numRuns: 30 },
    );
  });
});
