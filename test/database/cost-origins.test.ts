import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { composePeriod } from '../../src/closing/compose-period.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { beginClosing, sealClosing } from '../../src/closing/steps.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { InvoiceView } from '../../src/contracts/invoice.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import type { Pool } from '../../src/database/pool.js';
import { readAction } from '../../src/invoicing/action-view.js';
import { readInvoice } from '../../src/invoicing/invoice-view.js';
import { readLineUsage } from '../../src/invoicing/line-usage.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { listReportedCosts } from '../../src/reconciliation/reported-costs.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, publishBasics, settle, usageEvent } from '../support/ledger.js';

const RESOURCES = new URL('../../docs/reference/catalog-resources.json', import.meta.url);
const START = '2026-11-01';
const END = new Date('2026-12-01T01:00:00Z');
const page = { cursor: null, limit: 50 };

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let pool: Pool;
let deps: { pool: Pool; catalogs: CatalogCache };

beforeAll(async () => {
  database = await cloneDatabase();
  pool = database.pool;
  deps = { pool, catalogs: new CatalogCache(pool) };
  await publishBasics(pool);
  const example = JSON.parse(readFileSync(RESOURCES, 'utf8'));
  const others = { provider: 'openai', effective_from: '2026-01-01T00:00:00Z' };
  example.prices.push(
    { ...others, model_id: 'text-embedding-3-small', meter: 'input_tokens', price: '0.02', per: 1_000_000 },
    { ...others, model_id: 'whisper-1', meter: 'input_audio_seconds', price: '0.006', per: 60 },
  );
  const body = catalogVersionSchema.parse(example);
  await publishCatalogVersion(pool, body, { actor: 'test', source: 'test' });
});
afterAll(async () => database.drop());

const plan = (given: Partial<PlanInput> & { rules: PlanInput['rules'] }) =>
  publishPlan(pool, { plan_id: 'pro', currency: 'usd', ...given }, 'test');

async function append(events: Parameters<typeof usageEvent>[0][]): Promise<string[]> {
  const appender = appenderOn(pool);
  const results = await appender.append(events.map(usageEvent), { may_backfill: false });
  await appender.close();
  await settle(pool);
  return results.map(({ status, reason }) => (reason === undefined ? status : `${status} ${reason}`));
}

async function price(customerId: string) {
  const { period_id } = await readPeriodRow(pool, { customer_id: customerId, start_date: START });
  return pricePeriod(deps, period_id);
}

async function close(customer_id: string): Promise<InvoiceView> {
  const ref = { customer_id, start_date: START };
  await beginClosing(deps, ref, END);
  await sealClosing(deps, ref);
  await composePeriod(deps, ref);
  return readInvoice(pool, customer_id, START, 1);
}

const linesOf = ({ lines }: InvoiceView) =>
  lines.map(({ group, quantity, unit, cost, amount }) => [
    Object.values(group).join(' '),
    quantity,
    unit,
    cost,
    amount,
  ]);

describe('an agent run with ten kinds of costs', () => {
  const run = (event_id: string, provider: string, model_id: string, usage: Record<string, number | string>) => ({
    customer_id: 'agents',
    event_id,
    provider,
    model_id,
    usage,
    action_id: 'run_42',
    occurred_at: `2026-11-16T11:00:${event_id.slice(1)}Z`,
  });

  beforeAll(async () => {
    await plan({
      plan_id: 'agents',
      rules: [{ margin: '0.2' }],
      lines: { group_by: ['model_id', 'meter'] },
    });
    await customer(pool, 'agents', { plan_id: 'agents' });
    const statuses = await append([
      run('e10', 'anthropic', 'claude-x', { input_tokens: 20_000, output_tokens: 2_000 }),
      run('e11', 'openai', 'text-embedding-3-small', { input_tokens: 50_000 }),
      run('e12', 'cohere', 'rerank-v3.5', { search_units: 2 }),
      run('e13', 'openai', 'dall-e-3', { images_1024x1024_hd: 1, images_1024x1024: 2 }),
      run('e14', 'openai', 'whisper-1', { input_audio_seconds: '62.5' }),
      run('e15', 'browserbase', 'session', { browser_minutes: '3.25' }),
      run('e16', 'pinecone', 'serverless', { vector_reads: 12_500, storage_gb_hours: '0.36' }),
      run('e17', 'modal', 'h100', { gpu_seconds: '12.125' }),
      run('e18', 'serper', 'search', {}),
      run('e19', 'anthropic', 'code-execution', { code_sessions: 1 }),
      run('e20', 'midjourney', 'v7', { images_upscaled: '1.5' }),
    ]);
    // A meter that nobody has defined may have a fraction; it waits for its price like any other.
    expect(statuses).toEqual([...Array(10).fill('accepted'), 'held unknown_model']);
  });

  it('is answered as one action: calls, costs by kind, charge and margin; what waits is in no sum', async () => {
    const action = await readAction(deps, 'agents', 'run_42', { cursor: null, limit: 4 });
    expect(action).toMatchObject({
      first_at: '2026-11-16T11:00:10.000Z',
      last_at: '2026-11-16T11:00:20.000Z',
      events: 11,
      held_events: 1,
      late_events: 0,
      complete: true,
    });
    const cost = Object.fromEntries(action.costs.map((kind) => [`${kind.model_id} ${kind.meter}`, kind.cost]));
    expect(cost).toEqual({
      'claude-x input_tokens': '0.06',
      'claude-x output_tokens': '0.03',
      'text-embedding-3-small input_tokens': '0.001',
      'rerank-v3.5 search_units': '0.004',
      'dall-e-3 images_1024x1024': '0.08',
      'dall-e-3 images_1024x1024_hd': '0.08',
      'whisper-1 input_audio_seconds': '0.00625',
      'session browser_minutes': '0.0065',
      'serverless vector_reads': '0.2',
      'serverless storage_gb_hours': '0.000165',
      'h100 gpu_seconds': '0.013301125',
      'search tool_calls': '0.001',
      'code-execution code_sessions': '0.03',
    });
    expect(action.totals).toEqual([{ currency: 'usd', cost: '0.512216125', charge: '0.64027015625', margin: '0.2' }]);
    const next = await readAction(deps, 'agents', 'run_42', { cursor: action.calls.next_cursor, limit: 20 });
    expect(next.calls.data).toHaveLength(7);
    expect(next.calls.data.at(-1)).toMatchObject({
      event_id: 'e20',
      status: 'held',
      held_reason: 'unknown_model',
      cost: null,
    });
    await expect(readAction(deps, 'agents', 'run_43', page)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is billed with a line for each, in its own unit', async () => {
    await price('agents');
    const preview = await previewInvoice(deps, 'agents', START);
    const invoice = await close('agents');
    expect(invoice.lines).toEqual(preview.lines);
    expect(linesOf(invoice)).toContainEqual([
      'images_1024x1024_hd dall-e-3',
      '1',
      'images 1024x1024 hd',
      '0.08',
      '0.10',
    ]);
    expect(linesOf(invoice)).toContainEqual(['input_audio_seconds whisper-1', '62.5', 'seconds', '0.00625', '0.01']);
    expect(linesOf(invoice)).toContainEqual(['browser_minutes session', '3.25', 'minutes', '0.0065', '0.01']);
    expect(linesOf(invoice)).toContainEqual(['tool_calls search', '1', 'calls', '0.001', '0.00']);
    expect(invoice.cost).toBe('0.512216125');
    expect(invoice.lines).toHaveLength(13);
  });

  it('marks what came after the seal', async () => {
    await append([{ ...run('e30', 'cohere', 'rerank-v3.5', { search_units: 1 }) }]);
    const action = await readAction(deps, 'agents', 'run_42', page);
    expect(action).toMatchObject({ events: 12, late_events: 1 });
    expect(action.calls.data.at(-1)).toMatchObject({
      event_id: 'e30',
      status: 'late',
      cost: '0.002',
      charge: '0.0025',
    });
  });
});

describe('bring your own key', () => {
  it('costs us nothing: shown with its quantities, charged by a fee alone', async () => {
    await plan({
      plan_id: 'own-key',
      rules: [{ match: { paid_by: 'customer' }, markup: '0', fee_per_event: '0.05' }, { markup: '0.25' }],
      lines: { group_by: ['paid_by', 'model_id'] },
    });
    await customer(pool, 'keys', { plan_id: 'own-key' });
    const tokens = { input_tokens: 1_000_000, output_tokens: 100_000 };
    const byok = {
      format: 'openai.chat' as const,
      usage: { prompt_tokens: 700, completion_tokens: 70, total_tokens: 770, cost: 0.01, is_byok: true },
    };
    const provided = { customer_id: 'keys', provider: 'openrouter', model_id: 'vendor/unlisted', provider_usage: byok };
    const { usage: _usage, ...openrouter } = usageEvent({ ...provided, event_id: 'e3', usage: undefined } as never);
    expect(openrouter.paid_by).toBe('customer');
    const statuses = await append([
      { customer_id: 'keys', event_id: 'e1', usage: tokens, paid_by: 'customer' },
      { customer_id: 'keys', event_id: 'e2', usage: tokens },
      { ...provided, event_id: 'e3', usage: undefined } as never,
      // The sender knows better: the key is one of ours.
      {
        ...provided,
        event_id: 'e4',
        usage: undefined,
        paid_by: 'us',
        model_id: 'claude-x',
        provider: 'anthropic',
      } as never,
    ]);
    expect(statuses).toEqual(Array(4).fill('accepted'));
    await price('keys');
    const invoice = await close('keys');
    expect(linesOf(invoice)).toEqual([
      ['claude-x customer', '1100000', 'tokens', '0', '0.05'],
      ['vendor/unlisted customer', '770', 'tokens', '0', '0.05'],
      ['claude-x us', '1100770', 'tokens', '4.50315', '5.63'],
    ]);
    const trail = await readUsageTrail(deps, 'keys', 'e1');
    expect(trail).toMatchObject({
      status: 'accepted',
      paid_by: 'customer',
      cost: '0',
      charge: '0.05',
      line: { number: 1 },
    });
    const behind = await readLineUsage(deps, 'keys', START, 1, 2, page);
    expect(behind.data).toMatchObject([{ event_id: 'e3', usage: { input_tokens: 700, output_tokens: 70 }, cost: '0' }]);
  });
});

describe('reported costs', () => {
  const many = (customer_id: string, count: number, more: Record<string, unknown>) =>
    Array.from({ length: count }, (_, at) => ({
      customer_id,
      event_id: `r${String(at).padStart(2, '0')}`,
      usage: { input_tokens: 1_000, output_tokens: 200 },
      ...more,
    }));
  const reported = (amount: string) => ({ reported_cost: { amount, currency: 'usd' } });

  it('are compared with the catalog by model; what is beyond the tolerance is told once a period', async () => {
    for (const id of ['close-by', 'far-off']) await customer(pool, id);
    await append(many('close-by', 12, reported('0.0061')));
    await append(many('far-off', 12, { ...reported('0.009') }));
    const drifts: unknown[] = [];
    const told = { ...deps, onDrift: (drift: unknown) => void drifts.push(drift) };
    const run = async (id: string) => {
      const { period_id } = await readPeriodRow(pool, { customer_id: id, start_date: START });
      await pricePeriod(told, period_id);
      return period_id;
    };
    await run('close-by');
    const farOff = await run('far-off');
    expect(drifts).toMatchObject([
      { model_id: 'claude-x', events: 12, catalog_cost: '9/125', reported_cost: '27/250' },
    ]);
    await append(
      many('far-off', 1, { ...reported('0.009'), event_id: 'r99' }).map((event) => ({ ...event, event_id: 'r99' })),
    );
    await run('far-off');
    expect(drifts).toHaveLength(1);
    const { rows } = await pool.query(
      `SELECT detail FROM period_timeline WHERE period_id = $1 AND kind = 'reported_cost_drift'`,
      [farOff],
    );
    expect(rows).toEqual([
      {
        detail: {
          provider: 'anthropic',
          model_id: 'claude-x',
          source: null,
          events: 12,
          factor: '1.5',
          tolerance: '0.02',
        },
      },
    ]);

    const list = (customer_id: string) => listReportedCosts(pool, { customer_id }, page, '0.02');
    expect((await list('far-off')).data).toEqual([
      {
        provider: 'anthropic',
        model_id: 'claude-x',
        source: null,
        events: 13,
        catalog_cost: '0.078',
        catalog_currency: 'usd',
        reported_cost: '0.117',
        reported_currency: 'usd',
        drift_factor: '1.5',
        beyond_tolerance: true,
      },
    ]);
    expect((await list('close-by')).data).toMatchObject([{ drift_factor: '1.016667', beyond_tolerance: false }]);
    const all = await listReportedCosts(pool, {}, page, '0.4');
    expect(all.data).toMatchObject([{ events: 26, beyond_tolerance: false }]);
    expect((await listReportedCosts(pool, { from: '2026-12-01' }, page, '0.02')).data).toEqual([]);
  });

  it('are billed where the plan says so, in the same amounts on the line, the trail and the action', async () => {
    await plan({ plan_id: 'as-reported', rules: [{ markup: '0.5', cost_basis: 'reported' }] });
    await customer(pool, 'gateway', { plan_id: 'as-reported' });
    await append([
      { customer_id: 'gateway', event_id: 'g1', action_id: 'a1', ...reported('0.02') },
      { customer_id: 'gateway', event_id: 'g2', action_id: 'a1' },
      {
        customer_id: 'gateway',
        event_id: 'g3',
        action_id: 'a1',
        provider: 'openrouter',
        model_id: 'unlisted',
        ...reported('1'),
      },
    ]);
    await price('gateway');
    expect((await readAction(deps, 'gateway', 'a1', page)).totals).toEqual([
      { currency: 'usd', cost: '1.026', charge: '1.539', margin: '0.333333' },
    ]);
    const invoice = await close('gateway');
    expect(linesOf(invoice)).toEqual([
      ['claude-x', '2400', 'tokens', '0.026', '0.04'],
      ['unlisted', '1200', 'tokens', '1', '1.50'],
    ]);
    expect(invoice.lines.map(({ events }) => events)).toEqual([2, 1]);
    const trail = await readUsageTrail(deps, 'gateway', 'g1');
    expect(trail).toMatchObject({ cost: '0.02', charge: '0.03', reported_cost: { amount: '0.02', currency: 'usd' } });
    expect(
      (await readLineUsage(deps, 'gateway', START, 1, 1, page)).data.map(({ event_id, cost }) => [event_id, cost]),
    ).toEqual([
      ['g1', '0.02'],
      ['g2', '0.006'],
    ]);
  });
});
