import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.js';
import { EXIT_FAILED, EXIT_NOT_FOUND, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE } from '../../src/cli/exit-codes.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readSource } from '../../src/sources/sources.js';
import { publishTestCatalog, startTestApi, type TestApi, usageEvent } from '../support/http.js';
import { settle } from '../support/ledger.js';

describe('the command line against a server', () => {
  let api: TestApi;
  let folder: string;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    folder = await mkdtemp(join(tmpdir(), 'costplus-cli-'));
    environment = {
      COSTPLUS_URL: await api.server.listen({ host: '127.0.0.1', port: 0 }),
      COSTPLUS_API_KEY: api.keys.finance,
      COSTPLUS_HOME: folder,
      DATABASE_URL: api.databaseUrl,
      COSTPLUS_ENCRYPTION_KEY: api.deps.encryptionKey.toString('base64'),
    };
    await writeFile(
      join(folder, 'plan.json'),
      JSON.stringify({
        plan_id: 'pro',
        currency: 'usd',
        rules: [{ match: { provider: 'anthropic' }, margin: '0.5' }, { markup: '0.25' }],
      }),
    );
    await writeFile(
      join(folder, 'customer.json'),
      JSON.stringify({ currency: 'usd', plan_id: 'pro', starts_at: '2026-11-01T00:00:00Z' }),
    );
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  async function run(
    args: string,
    more: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number; out: string; error: string }> {
    const written = { out: [] as string[], error: [] as string[] };
    const code = await runCommandLine(args.split(' '), {
      environment: { ...environment, ...more },
      output: { out: (text) => void written.out.push(text), error: (text) => void written.error.push(text) },
    });
    return { code, out: written.out.join(''), error: written.error.join('') };
  }
  /** What the worker does by itself. */
  async function priceAll(): Promise<void> {
    await settle(api.pool);
    const { rows } = await api.pool.query<{ period_id: number }>('SELECT period_id FROM periods');
    for (const { period_id } of rows) await pricePeriod({ pool: api.pool, catalogs: api.deps.catalogs }, period_id);
  }
  async function ok(args: string): Promise<string> {
    const { code, out, error } = await run(args);
    expect(error).toBe('');
    expect(code).toBe(EXIT_OK);
    return out;
  }

  it('migrates, and gives the role of the API and the worker what it needs', async () => {
    const role = `cli_${randomBytes(6).toString('hex')}`;
    await api.pool.query(`CREATE ROLE ${role}`);
    expect(await ok(`migrate --grant ${role}`)).toContain(`granted ${role} what it needs`);
    const { rows } = await api.pool.query<{ reads: boolean; changes: boolean; empties: boolean }>(
      `SELECT has_table_privilege($1, 'seals', 'SELECT') AS reads, has_table_privilege($1, 'seals', 'UPDATE') AS changes,
              has_table_privilege($1, 'usage_chunks', 'TRUNCATE') AS empties`,
      [role],
    );
    expect(rows).toEqual([{ reads: true, changes: false, empties: false }]);
    expect(await run('migrate --grant nobody_of_this_name')).toMatchObject({ code: EXIT_FAILED });
    await api.pool.query(`DROP OWNED BY ${role}`);
    await api.pool.query(`DROP ROLE ${role}`);
  });

  it('says whether a restored database has to be renumbered, and does it', async () => {
    expect(await ok('renumber --check')).toMatch(/^Nothing to do: /);
    expect(await ok('renumber')).toMatch(/^Nothing to do: /);
    // As a dump brings it: a chunk of a transaction that the server has not come to yet.
    await api.pool.query(`INSERT INTO usage_chunks (chunk, period_ids, events) VALUES ('1000000000000', '{}', 0)`);
    expect(await run('renumber --check')).toMatchObject({
      code: EXIT_FAILED,
      error: expect.stringContaining('up to 1000000000001'),
    });
    expect(await ok('renumber')).toContain('the next transaction is 1000000000001 or later');
    expect(await ok('renumber --check')).toMatch(/^Nothing to do: /);
    await api.pool.query(`DELETE FROM usage_chunks WHERE chunk = '1000000000000'`);
  });

  it('publishes a plan, makes a customer, and shows both', async () => {
    expect(await ok(`plan publish ${join(folder, 'plan.json')}`)).toMatch(/provider anthropic\s+cost \/ \(1 - 0\.5\)/);
    expect(await ok('plan show pro')).toMatch(/everything else\s+cost x \(1 \+ 0\.25\)/);
    expect(JSON.parse(await ok('plan show pro 1 --json'))).toMatchObject({ plan_id: 'pro', version: 1 });
    expect(await ok(`customer put acme ${join(folder, 'customer.json')}`)).toMatch(/plan\s+pro version 1/);
    expect(await ok('customer show acme')).toMatch(/calendar\s+months from day 1, UTC/);
  });

  it('shows periods, previews and trails as tables or as JSON', async () => {
    await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events: [usageEvent('e1')] } });
    expect(await ok('periods --customer acme')).toMatch(/CUSTOMER.*\nacme\s+2026-11-01/);
    expect(await ok('periods --status parked')).toBe('No billing periods.\n');
    expect(JSON.parse(await ok('periods --json'))).toMatchObject([{ customer_id: 'acme', start_date: '2026-11-01' }]);
    expect(await ok('period show acme 2026-11-01')).toMatch(/status\s+open/);
    expect(await ok('period preview acme 2026-11-01')).toMatch(/total\s+0\.02 usd/);
    expect(JSON.parse(await ok('usage trail acme e1 --json'))).toMatchObject({ status: 'accepted', charge: '0.0165' });
  });

  it('shows and resolves held usage, actions and what to look through', async () => {
    const events = [
      usageEvent('w1', { model_id: 'claude-y', action_id: 'run_7' }),
      usageEvent('w2', { usage: { input_tokens: 10, images: 2 }, action_id: 'run_7' }),
      usageEvent('w3', { service_tier: 'turbo', action_id: 'run_7' }),
    ];
    await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events } });
    await priceAll();
    expect(await ok('held list --customer acme')).toMatch(
      /acme\s+2026-11-01\s+open\s+unknown_model\s+anthropic\s+claude-y\s+-\s+1/,
    );
    expect(await ok('held list --by-model --reason no_price')).toMatch(
      /no_price\s+anthropic\s+claude-x\s+images\s+1\s+1/,
    );
    expect(await ok('held list --reason split_call')).toBe('Nothing waits.\n');
    expect(await ok('usage review')).toMatch(/anthropic\s+claude-x\s+claude-x\s+exact\s+turbo\s+1\s+1/);
    expect(await ok('usage review --how rule')).toBe('Nothing to look at.\n');

    for (const args of [
      'held resolve --model claude-y --note x',
      'held resolve --model claude-y --note x --write-off --price images=1',
      'held resolve --model claude-y --note x --price images',
      'held resolve --model claude-y --write-off',
      'held list --limit none',
    ]) {
      expect((await run(args)).code, args).toBe(EXIT_USAGE);
    }
    const bill =
      'held resolve --customer acme --model claude-x --event w2 --price images=3/100 --note agreed --request-id r7';
    expect(await ok(bill)).toMatch(/acme\s+2026-11-01\s+open/);
    expect(await ok(bill)).toContain('This request was answered before.');
    await ok('held resolve --model claude-y --write-off --note ours');
    expect((await run('held resolve --model claude-z --write-off --note ours')).code).toBe(EXIT_NOT_FOUND);
    await priceAll();
    expect(await ok('held list')).toBe('Nothing waits.\n');
    const action = await ok('action show acme run_7');
    // 10 x $3 a million and 2 x $3 a hundred; 1,200 x $3 and 310 x $15 a million.
    expect(action).toMatch(/images\s+2\s+0\.06\s+usd\s+us/);
    expect(action).toMatch(/w1\s+claude-y\s+written_off\s+-\s+-/);
    expect(JSON.parse(await ok('action show acme run_7 --json'))).toMatchObject({
      events: 3,
      totals: [{ cost: '0.06828', currency: 'usd' }],
    });
    expect((await run('action show acme run_8')).code).toBe(EXIT_NOT_FOUND);
  });

  it('passes commands on with reason and request id', async () => {
    api.commands.length = 0;
    expect(await ok('period close acme 2026-11-01 --reason ended --request-id r1')).toBe(
      'The period is now closing.\n',
    );
    expect(await ok('period hold acme 2026-11-01')).toBe('The period is now on_hold.\n');
    await ok('period approve acme 2026-11-01 --reason agreed');
    expect(api.commands.map(({ name, command }) => [name, command.reason])).toEqual([
      ['close', 'ended'],
      ['hold', null],
      ['approve', 'agreed'],
    ]);
    expect(api.commands[0]?.command.request_id).toBe('r1');
  });

  it('ends with 4 for what is not there', async () => {
    const missing = await run('period show acme 2027-01-01');
    expect(missing).toMatchObject({ code: EXIT_NOT_FOUND, out: '', error: expect.stringContaining('unknown_period') });
    expect((await run('customer show nobody')).code).toBe(EXIT_NOT_FOUND);
    expect((await run('invoice show acme 2026-11-01')).code).toBe(EXIT_NOT_FOUND);
    expect((await run('invoice show acme 2026-11-01 1')).code).toBe(EXIT_NOT_FOUND);
  });

  it('ends with 1 for what is refused', async () => {
    expect((await run('customer show acme', { COSTPLUS_API_KEY: api.keys.ops })).code).toBe(EXIT_FAILED);
    expect((await run('customer show acme', { COSTPLUS_API_KEY: 'cp_nothing' })).code).toBe(EXIT_FAILED);
    expect((await run(`plan publish ${join(folder, 'customer.json')}`)).code).toBe(EXIT_FAILED);
  });

  it('ends with 2 for what is written wrong', async () => {
    for (const args of ['no-such-command', 'period show acme', 'periods --no-such-option', 'periods --limit none']) {
      const { code, out, error } = await run(args);
      expect([code, out], args).toEqual([EXIT_USAGE, '']);
      expect(error).toMatch(/^error: /);
    }
    for (const args of ['--all', '--plan pro', '--all --plan pro@new', '--all --catalog newest']) {
      const { code, out } = await run(`what-if --from 2026-11-01 ${args}`);
      expect([code, out], args).toEqual([EXIT_USAGE, '']);
    }
    expect((await run('plan publish /no/such/file')).code).toBe(EXIT_USAGE);
    expect((await run('key create --role owner --name x')).code).toBe(EXIT_USAGE);
    expect((await run('source rotate gateway --overlap soon')).code).toBe(EXIT_USAGE);
    expect((await run('periods', { COSTPLUS_URL: '', COSTPLUS_API_KEY: '' })).code).toBe(EXIT_USAGE);
    expect((await run('api', { DATABASE_URL: 'mysql://x' })).code).toBe(EXIT_USAGE);
  });

  it('ends with 3 where nobody answers', async () => {
    expect((await run('periods', { COSTPLUS_URL: 'http://127.0.0.1:1' })).code).toBe(EXIT_UNREACHABLE);
    const noDatabase = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
    expect((await run('key create --role ops --name x', noDatabase)).code).toBe(EXIT_UNREACHABLE);
  });

  it('shows help with 0', async () => {
    expect(await ok('--help')).toContain('Exit codes: 0 done');
    expect(await ok('period close --help')).toContain('$ costplus period close acme 2026-11-01');
  });

  it('makes keys and sources that the server takes', async () => {
    const secret = (JSON.parse(await ok('source create crawler --json')) as { secret: string }).secret;
    expect(secret).toMatch(/^whsec_/);
    const made = JSON.parse(await ok('key create --role service --name crawler --source crawler --json'));
    const { key } = made as { key: string };
    const unsigned = await api.call('POST', '/v1/usage', { key, body: { events: [usageEvent('e2')] } });
    expect(unsigned.status).toBe(401);
    expect(await ok('source rotate crawler')).toMatch(/secret\s+whsec_/);
    const prefix = key.split('_')[2]!;
    expect(await ok(`key revoke ${prefix}`)).toContain(prefix);
    expect((await run(`key revoke ${prefix}`)).code).toBe(EXIT_NOT_FOUND);
    expect((await run('source create crawler')).code).toBe(EXIT_FAILED);
  });

  it("writes to this machine's stack, with its key, where the environment names none", async () => {
    const home = await mkdtemp(join(folder, 'home-'));
    const none = { DATABASE_URL: '', COSTPLUS_ENCRYPTION_KEY: '', COSTPLUS_HOME: home };
    expect((await run('source create at-home', none)).code).toBe(EXIT_USAGE);
    await writeFile(join(home, 'dev.json'), JSON.stringify({ database_url: api.databaseUrl }));
    expect((await run('source create at-home', none)).code).toBe(EXIT_USAGE);
    await writeFile(
      join(home, 'secrets.json'),
      JSON.stringify({ encryption_key: environment.COSTPLUS_ENCRYPTION_KEY }),
    );
    expect((await run('source create at-home', none)).code).toBe(EXIT_OK);
    expect((await readSource(api.pool, api.deps.encryptionKey, 'at-home'))?.signs).toBe(true);
    // That key belongs to that database, not to any other one.
    const elsewhere = { ...none, DATABASE_URL: api.databaseUrl };
    expect((await run('source create elsewhere', elsewhere)).code).toBe(EXIT_USAGE);
  });

  it('brings a database up to date', async () => {
    expect(await ok('migrate')).toMatch(/up to date; its catalog is version 1/);
  });

  it('shows names that mean other models', async () => {
    expect(await ok('catalog aliases')).toBe('No aliases.\n');
    const body = { note: 'x', aliases: [{ provider: 'anthropic', alias: 'claude-latest', model_id: 'claude-x' }] };
    await api.call('POST', '/v1/catalog/versions', { body });
    expect(await ok('catalog aliases --provider anthropic')).toMatch(/anthropic\s+claude-latest\s+claude-x\s.*key:/);
  });
});
