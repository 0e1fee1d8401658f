import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.js';
import { EXIT_OK, EXIT_USAGE } from '../../src/cli/exit-codes.js';
import { noteLateUsage } from '../../src/invoicing/late-so-far.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { startTestApi, type TestApi } from '../support/http.js';
import { customer, publishBasics, settle } from '../support/ledger.js';

describe('totals on the command line', () => {
  let api: TestApi;
  let run: BillingRun;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    api = await startTestApi();
    run = await openBillingRun(api.pool);
    folder = await mkdtemp(join(tmpdir(), 'costplus-cli-'));
    environment = {
      COSTPLUS_URL: await api.server.listen({ host: '127.0.0.1', port: 0 }),
      COSTPLUS_API_KEY: api.keys.finance,
      COSTPLUS_HOME: folder,
    };
    await publishBasics(run.pool);
    const budgets = [{ budget_id: 'b', amount: '1000' }];
    const plan = { plan_id: 'isk', currency: 'isk', rules: [{ markup: '0.25', fee_per_event: '10' }], budgets };
    await publishPlan(run.pool, plan, 'test');
  });
  afterAll(async () => {
    await run?.end();
    await api?.close();
    await rm(folder, { recursive: true });
  });

  async function cli(args: string): Promise<{ code: number; out: string; error: string }> {
    const written = { out: [] as string[], error: [] as string[] };
    const code = await runCommandLine(args.split(' '), {
      environment,
      output: { out: (text) => void written.out.push(text), error: (text) => void written.error.push(text) },
    });
    return { code, out: written.out.join(''), error: written.error.join('') };
  }
  async function price(id: string, start: string): Promise<void> {
    await settle(run.pool);
    const { period_id } = (await findPeriod(run.pool, id, start))!;
    await pricePeriod(run, period_id);
    await noteLateUsage(run, period_id, 0);
  }
  const usage = (customer_id: string, event_id: string, day: string) => ({
    customer_id,
    event_id,
    occurred_at: `${day}T12:00:00Z`,
    usage: { input_tokens: 1_000_000 },
  });

  it('say what has no exchange rate, and what has to be published', async () => {
    await customer(run.pool, 'island', { plan_id: 'isk', currency: 'isk' });
    await run.append([usage('island', '1', '2026-11-10')]);
    await price('island', '2026-11-01');
    const { code, out } = await cli('period show island 2026-11-01');
    expect(code).toBe(EXIT_OK);
    expect(out).toMatch(/charge +10 isk\n/);
    expect(out).toContain('cost 3 usd, charge 3.75 usd not in the totals: publish a rate from usd to isk');
    expect((await cli('periods --customer island')).out).toContain('isk (no rate)');
    const { body } = await api.call('GET', '/v1/periods/island/2026-11-01');
    expect(body).toMatchObject({
      totals: { currency: 'isk', without_rate: [{ currency: 'usd', cost: '3', charge: '3.75' }] },
      budgets: [{ spent: '10', currency: 'isk', without_rate: ['usd'] }],
    });
  });

  it('say what late usage comes on top', async () => {
    await customer(run.pool, 'late');
    await run.append([usage('late', 'o', '2026-10-10'), usage('late', 'n', '2026-11-10')]);
    await run.close({ customer_id: 'late', start_date: '2026-10-01' });
    await run.append([usage('late', 'l', '2026-10-11')]);
    await price('late', '2026-11-01');
    expect((await cli('period show late 2026-11-01')).out).toContain('1 events, 3.75 usd on top of the charge');
  });

  it('are no part of a dry run, which says what each period opens with', async () => {
    const { status, body } = await api.call('POST', '/v1/previews', {
      body: { customer_id: 'late', from: '2026-10-01', to: '2026-12-01', change: { plan: { plan_id: 'pro' } } },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      data: [
        { start_date: '2026-10-01', opens_after: null, balances: { closing: { rollover: [] } } },
        { start_date: '2026-11-01', opens_after: '2026-10-01', difference: '0.00' },
      ],
    });
  });

  it('take no other openings of a dry run than those that there are', async () => {
    const { code, error } = await cli('what-if --plan isk --from 2026-11-01 --all --openings both');
    expect(code).toBe(EXIT_USAGE);
    expect(error).toContain('--openings is chain or real.');
  });
});
