import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config.js';
import { setUpDatabase } from '../../../src/dev/database-setup.js';
import { ensureSecrets } from '../../../src/dev/secrets.js';
import { ApiKeys } from '../../../src/http/api-keys.js';
import { readSource } from '../../../src/sources/sources.js';
import { cloneDatabase } from '../../support/database.js';

describe('the secrets of a home', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'costplus-secrets-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  it('are made once, differ between homes, and only their owner can read them', async () => {
    const secrets = await ensureSecrets(home);
    expect(await ensureSecrets(home)).toEqual(secrets);
    expect((await stat(join(home, 'secrets.json'))).mode & 0o777).toBe(0o600);
    await rm(join(home, 'secrets.json'));
    const others = await ensureSecrets(home);
    expect(others.encryption_key).not.toBe(secrets.encryption_key);
    expect(others.keys.finance).not.toBe(secrets.keys.finance);
  });

  it('have an encryption key that the configuration takes', async () => {
    const { encryption_key } = await ensureSecrets(home);
    expect(readConfig({ COSTPLUS_ENCRYPTION_KEY: encryption_key }).COSTPLUS_ENCRYPTION_KEY).toBe(encryption_key);
  });

  it('are never replaced where their file cannot be read', async () => {
    await writeFile(join(home, 'secrets.json'), '{"keys":');
    await expect(ensureSecrets(home)).rejects.toMatchObject({ code: 'configuration' });
  });

  describe('in a database', () => {
    let database: Awaited<ReturnType<typeof cloneDatabase>>;
    beforeAll(async () => {
      database = await cloneDatabase();
    });
    afterAll(() => database.drop());

    it('open it, however often it is set up: each key has its role, the service key signs as its source', async () => {
      const secrets = await ensureSecrets(home);
      const encryptionKey = Buffer.from(secrets.encryption_key, 'base64');
      await setUpDatabase(database.url, secrets, encryptionKey);
      await setUpDatabase(database.url, secrets, encryptionKey);
      const keys = new ApiKeys(database.pool);
      const { source, secret } = secrets.signing;
      expect(await keys.authenticate(`Bearer ${secrets.keys.service}`)).toMatchObject({
        role: 'service',
        source_id: source,
      });
      expect(await keys.authenticate(`Bearer ${secrets.keys.ops}`)).toMatchObject({ role: 'ops', source_id: null });
      expect(await keys.authenticate(`Bearer ${secrets.keys.finance}`)).toMatchObject({ role: 'finance' });
      expect((await readSource(database.pool, encryptionKey, source))?.secrets).toEqual([secret]);
    });
  });
});
