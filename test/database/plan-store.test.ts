import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentHash } from '../../src/contracts/canonical-json.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { listPlans, publishPlan, readPlan } from '../../src/plans/plan-store.js';
import { cloneDatabase } from '../support/database.js';

const body = (plan: Partial<PlanInput> = {}): PlanInput => ({
  plan_id: 'pro',
  currency: 'usd',
  rules: [{ match: { provider: 'anthropic' }, margin: '0.30' }, { markup: '0.25' }],
  ...plan,
});

describe('plan versions', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  const auditOf = async (planId: string) =>
    (
      await database.pool.query<{ actor: string; action: string; detail: unknown }>(
        'SELECT actor, action, detail FROM audit_log WHERE subject = $1 ORDER BY audit_id',
        [planId],
      )
    ).rows;

  it('are numbered from 1, and hold the plan with its defaults written out', async () => {
    const published = await publishPlan(database.pool, body({ plan_id: 'numbered' }), 'key:finance');
    expect(published).toMatchObject({ plan_id: 'numbered', version: 1 });
    expect(published.plan).toMatchObject({
      lines: { group_by: ['model_id'] },
      grace: 'PT1H',
      aggregation_window: 'PT5S',
      submission: 'stripe',
      collection: { method: 'charge_automatically' },
    });
    const next = await publishPlan(database.pool, body({ plan_id: 'numbered', base_fee: '49.00' }), 'key:finance');
    expect(next.version).toBe(2);
    expect(await readPlan(database.pool, 'numbered')).toEqual(next);
    expect(await readPlan(database.pool, 'numbered', 1)).toEqual(published);
  });

  it('carry the hash of their content, which can be computed again from what is read', async () => {
    await publishPlan(database.pool, body({ plan_id: 'hashed', name: 'Prö · 専門' }), 'key:finance');
    const read = await readPlan(database.pool, 'hashed');
    expect(contentHash(read.plan)).toBe(read.content_hash);
  });

  it('are not made anew from the same content, however it is written', async () => {
    const first = await publishPlan(database.pool, body({ plan_id: 'same' }), 'key:finance');
    const spelled = { rules: body().rules, plan_id: 'same', grace: 'PT1H', budgets: [], currency: 'usd' };
    expect(await publishPlan(database.pool, spelled, 'key:other')).toEqual(first);
    expect((await auditOf('same')).map((entry) => entry.detail)).toEqual([
      { version: 1, content_hash: first.content_hash, new_version: true },
      { version: 1, content_hash: first.content_hash, new_version: false },
    ]);
  });

  it('are made anew where an older version comes back', async () => {
    await publishPlan(database.pool, body({ plan_id: 'back' }), 'key:finance');
    await publishPlan(database.pool, body({ plan_id: 'back', base_fee: '10' }), 'key:finance');
    const again = await publishPlan(database.pool, body({ plan_id: 'back' }), 'key:finance');
    expect(again.version).toBe(3);
    expect(again.content_hash).toBe((await readPlan(database.pool, 'back', 1)).content_hash);
  });

  it('that are published at once get one number each', async () => {
    const fees = Array.from({ length: 8 }, (_, index) => `${index}.50`);
    const published = await Promise.all(
      fees.map((fee) => publishPlan(database.pool, body({ plan_id: 'busy', base_fee: fee }), 'key:finance')),
    );
    expect(published.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const same = await Promise.all(
      fees.map(() => publishPlan(database.pool, body({ plan_id: 'busy', base_fee: '99' }), 'key:finance')),
    );
    expect(new Set(same.map(({ version }) => version))).toEqual(new Set([9]));
  });

  it('are logged with who published them', async () => {
    await publishPlan(database.pool, body({ plan_id: 'logged' }), 'key:anna');
    expect(await auditOf('logged')).toMatchObject([
      { actor: 'key:anna', action: 'plan.publish', detail: { version: 1, new_version: true } },
    ]);
  });

  it.each([
    ['changed', `UPDATE plan_versions SET body = '{}' WHERE plan_id = 'frozen'`],
    ['numbered again', `UPDATE plan_versions SET version = 7 WHERE plan_id = 'frozen'`],
    ['deleted', `DELETE FROM plan_versions WHERE plan_id = 'frozen'`],
  ])('cannot be %s: the database refuses', async (_what, sql) => {
    await publishPlan(database.pool, body({ plan_id: 'frozen' }), 'key:finance');
    await expect(database.pool.query(sql)).rejects.toMatchObject({ code: '23000' });
    expect((await readPlan(database.pool, 'frozen')).version).toBe(1);
  });

  it('that do not exist are unknown', async () => {
    await publishPlan(database.pool, body({ plan_id: 'known' }), 'key:finance');
    await expect(readPlan(database.pool, 'unheard-of')).rejects.toMatchObject({ code: 'unknown_plan' });
    await expect(readPlan(database.pool, 'known', 2)).rejects.toMatchObject({ code: 'unknown_plan' });
    await expect(readPlan(database.pool, 'known', 9_000_000_000)).rejects.toMatchObject({ code: 'unknown_plan' });
  });

  const refused: [string, unknown, string | undefined][] = [
    ['that is no object', 'a text', undefined],
    ['with both words in a rule', body({ rules: [{ markup: '0.1', margin: '0.1' } as never] }), 'rules[0]'],
    ['with a rule of neither word', body({ rules: [{}] as never }), 'rules[0]'],
    ['with a malformed margin', body({ rules: [{ margin: '30%' }] }), 'rules[0].margin'],
    [
      'with a match on nothing known',
      body({ rules: [{ match: { prompt: 'x' }, markup: '0' } as never] }),
      'rules[0].match',
    ],
    ['with a number for money', body({ base_fee: 49 as never }), 'base_fee'],
    ['with half a character as name', body({ name: 'a\ud800' }), 'name'],
    ['without a catch-all', body({ rules: [{ match: { provider: 'openai' }, markup: '0' }] }), 'rules[0].match'],
  ];
  it.each(refused)('%s is refused, and nothing is written', async (_what, value, field) => {
    const before = await database.pool.query('SELECT count(*) FROM plan_versions');
    const failure = await publishPlan(database.pool, value, 'key:finance').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'invalid_plan', field });
    expect((await database.pool.query('SELECT count(*) FROM plan_versions')).rows).toEqual(before.rows);
  });

  it('say in a refusal nothing of what was sent, not even the names of unknown keys', async () => {
    const secret = 'my-prompt-about-acme';
    const bodies = [
      body({ [secret]: 1 } as never),
      body({ name: `${secret}\n` }),
      body({ rules: [{ match: { [secret]: 'x' }, markup: secret } as never] }),
      body({ submission: secret as never }),
    ];
    for (const sent of bodies) {
      const failure = await publishPlan(database.pool, sent, 'key:finance').catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'invalid_plan' });
      expect(JSON.stringify([failure, (failure as Error).message])).not.toContain(secret);
    }
  });
});

describe('the list of plans', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
    for (const planId of ['a', 'B', 'c', 'A', 'b.1']) {
      await publishPlan(database.pool, body({ plan_id: planId }), 'key:finance');
      await publishPlan(database.pool, body({ plan_id: planId, base_fee: '5' }), 'key:finance');
    }
  });
  afterAll(() => database.drop());

  it('gives the newest version of each, page by page, in code unit order', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof listPlans>> = await listPlans(database.pool, { cursor, limit: 2 });
      expect(page.data.length).toBeLessThanOrEqual(2);
      seen.push(...page.data.map(({ plan_id, version }) => `${plan_id} ${version}`));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual(['A 2', 'B 2', 'a 2', 'b.1 2', 'c 2']);
  });

  it('ends without a cursor where a page is exactly full', async () => {
    expect((await listPlans(database.pool, { cursor: null, limit: 5 })).next_cursor).toBeNull();
  });

  it('refuses a cursor that it did not give', async () => {
    await expect(listPlans(database.pool, { cursor: '%%%', limit: 5 })).rejects.toMatchObject({
      code: 'invalid_request',
      field: 'cursor',
    });
  });
});
