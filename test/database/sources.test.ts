import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CREDENTIAL_CACHE_SECONDS } from '../../src/limits.js';
import { addSourceSecret, createSource, readSource, Sources } from '../../src/sources/sources.js';
import { cloneDatabase } from '../support/database.js';

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

describe('usage sources', () => {
  const key = randomBytes(32);
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  it('are made with a secret that the database cannot show', async () => {
    const secret = newSecret();
    await createSource(database.pool, key, { source_id: 'gateway', secret, default_provider: 'openai' });
    expect(await readSource(database.pool, key, 'gateway')).toMatchObject({
      default_provider: 'openai',
      may_backfill: false,
      signs: true,
      secrets: [secret],
      keys: [Buffer.from(secret.slice('whsec_'.length), 'base64')],
    });
    const stored = await database.pool.query<{ text: string }>('SELECT s::text AS text FROM source_secrets s');
    const bytes = Buffer.from(secret).toString('hex');
    expect(stored.rows.map(({ text }) => text).join()).not.toContain(bytes);
  });

  it('are the same when they are made again, and a conflict with other settings', async () => {
    const secret = newSecret();
    const options = { source_id: 'again', secret, may_backfill: true };
    await createSource(database.pool, key, options);
    await createSource(database.pool, key, options);
    expect((await readSource(database.pool, key, 'again'))?.secrets).toEqual([secret]);
    const conflict = { code: 'conflict' };
    await expect(createSource(database.pool, key, { ...options, secret: newSecret() })).rejects.toMatchObject(conflict);
    await expect(createSource(database.pool, key, { ...options, may_backfill: false })).rejects.toMatchObject(conflict);
    await expect(createSource(database.pool, key, { source_id: 'again' })).rejects.toMatchObject(conflict);
  });

  it('made by many at once exist once, with one secret', async () => {
    const secret = newSecret();
    await Promise.all(
      Array.from({ length: 8 }, () => createSource(database.pool, key, { source_id: 'raced', secret })),
    );
    expect((await readSource(database.pool, key, 'raced'))?.secrets).toEqual([secret]);
  });

  it('without a secret send unsigned', async () => {
    await createSource(database.pool, key, { source_id: 'plain' });
    expect(await readSource(database.pool, key, 'plain')).toMatchObject({ signs: false, secrets: [] });
    expect(await readSource(database.pool, key, 'nobody')).toBeNull();
  });

  it('take several secrets until the old ones end; the newest comes first', async () => {
    const [first, second] = [newSecret(), newSecret()];
    await createSource(database.pool, key, { source_id: 'rotating', secret: first });
    const previousExpireAt = new Date(Date.now() + 60_000);
    await addSourceSecret(database.pool, key, { source_id: 'rotating', secret: second, previousExpireAt });
    const at = async (ms: number) => (await readSource(database.pool, key, 'rotating', ms))?.secrets;
    expect(await at(previousExpireAt.getTime() - 1)).toEqual([second, first]);
    expect(await at(previousExpireAt.getTime())).toEqual([second]);
    const unknown = addSourceSecret(database.pool, key, { source_id: 'nobody', secret: second });
    await expect(unknown).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each(['', 'secret', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${randomBytes(65).toString('base64')}`])(
    'refuse a secret that is none (%#) without showing it',
    async (secret) => {
      const made = createSource(database.pool, key, { source_id: 'bad', secret });
      await expect(made).rejects.toMatchObject({ code: 'invalid_request', field: 'secret' });
      expect(await readSource(database.pool, key, 'bad')).toBeNull();
    },
  );

  it('are remembered for seconds, not longer', async () => {
    const clock = { now: Date.now() };
    const sources = new Sources(database.pool, key, () => clock.now);
    await createSource(database.pool, key, { source_id: 'cached' });
    expect((await sources.find('cached'))?.disabled).toBe(false);
    await database.pool.query(`UPDATE sources SET disabled_at = now() WHERE source_id = 'cached'`);
    clock.now += CREDENTIAL_CACHE_SECONDS * 1_000 - 1;
    expect((await sources.find('cached'))?.disabled).toBe(false);
    clock.now += 1;
    expect((await sources.find('cached'))?.disabled).toBe(true);
    expect(await sources.find('nobody')).toBeNull();
  });
});
