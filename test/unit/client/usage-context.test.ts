import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { contextOf, withUsageContext } from '../../../src/client/usage-context.js';

describe('the context of a call', () => {
  it('is what was given, below what is around the call', () => {
    const given = { customer_id: 'acme', feature: 'report', dimensions: { team: 'search', tier: 'gold' } };
    withUsageContext({ customer_id: 'globex', dimensions: { team: 'ads' } }, () => {
      expect(contextOf(given)).toEqual({
        customer_id: 'globex',
        feature: 'report',
        dimensions: { team: 'ads', tier: 'gold' },
      });
    });
    expect(contextOf(given)).toEqual(given);
  });

  it('is asked for at the moment of the call', () => {
    let customer_id = 'acme';
    const source = () => ({ customer_id });
    customer_id = 'globex';
    expect(contextOf(source)).toEqual({ customer_id: 'globex' });
    expect(contextOf(undefined)).toEqual({});
  });

  it('reaches through awaits and timers, and into contexts inside', async () => {
    const seen = await withUsageContext({ customer_id: 'acme' }, async () => {
      await sleep(1);
      return withUsageContext({ action_id: 'run_42' }, async () => {
        await sleep(1);
        return contextOf(undefined);
      });
    });
    expect(seen).toEqual({ customer_id: 'acme', action_id: 'run_42' });
  });

  it('keeps requests that run at the same time apart', async () => {
    const run = (customer_id: string) =>
      withUsageContext({ customer_id }, async () => {
        await sleep(1);
        return contextOf(undefined).customer_id;
      });
    expect(await Promise.all([run('acme'), run('globex')])).toEqual(['acme', 'globex']);
  });
});
