import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.js';
import { EXIT_FAILED, EXIT_NOT_FOUND, EXIT_OK, EXIT_USAGE } from '../../src/cli/exit-codes.js';
import { makeCustomer, publishTestCatalog, startTestApi, type TestApi, usageEvent } from '../support/http.js';

describe('what finance does on the command line', () => {
  let api: TestApi;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    folder = await mkdtemp(join(tmpdir(), 'costplus-cli-'));
    const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    environment = { COSTPLUS_URL: url, COSTPLUS_API_KEY: api.keys.finance };
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  async function run(args: string): Promise<{ code: number; out: string; error: string }> {
    const written = { out: '', error: '' };
    const words = (args.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, '$1'));
    const code = await runCommandLine(words, {
      environment,
      output: {
        out: (text) => {
          written.out += text;
        },
        error: (text) => {
          written.error += text;
        },
      },
    });
    return { code, ...written };
  }
  async function ok(args: string): Promise<string> {
    const { code, out, error } = await run(args);
    expect([code, error], args).toEqual([EXIT_OK, '']);
    return out;
  }
  const json = async (args: string): Promise<unknown> => JSON.parse(await ok(`${args} --json`));
  /** The cells of a table's rows. */
  const rows = (table: string) =>
    table
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/ {2,}/));
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  it('grants credits, for all or for what was used, lists them, and takes the rest back', async () => {
    const grant = 'credits grant acme --from 2026-11-01T00:00:00Z';
    await ok(
      `${grant} --amount 500.00 --name "Winter pack" --cost-basis 0.80 --priority 5 --expires 2027-12-01T00:00:00Z`,
    );
    const made = await json(
      `${grant} --amount 50 --name "Claude reports" --provider anthropic --feature report --feature "summary report" --request-id g-1`,
    );
    expect(made).toMatchObject({
      amount: '50',
      applies_to: 'usage',
      match: { provider: ['anthropic'], feature: ['report', 'summary report'] },
    });
    expect(
      await json(
        `${grant} --amount 50 --name "Claude reports" --provider anthropic --feature report --feature "summary report" --request-id g-1`,
      ),
    ).toEqual(made);
    expect(rows(await ok('credits list acme')).map(([, name, purpose]) => `${name}: ${purpose}`)).toEqual([
      'Claude reports: feature report or summary report, provider anthropic',
      'Winter pack: all',
    ]);
    const { grant_id } = made as { grant_id: number };
    expect(await ok('credits balance acme')).toMatch(
      /left\s+550 usd[\s\S]*for some usage\s+50 usd[\s\S]*2027-12-01\S+\s+500/,
    );
    expect(await ok(`credits revoke acme ${grant_id} --reason "wrong customer"`)).toMatch(/50\s+0\s+0\s+50\s+0\s+usd/);
    expect(
      rows(await ok('credits ledger acme')).map(([, what, , name, amount]) => `${what} ${name} ${amount}`),
    ).toEqual(
      ['revoked Claude reports -50', 'granted Claude reports 50', 'granted Winter pack 500'].map((line) =>
        line.replace('500.00', '500'),
      ),
    );
    expect(await json(`credits ledger acme --grant ${grant_id} --limit 1`)).toMatchObject([{ kind: 'revoked' }]);
    expect(await ok('credits ledger acme --period 2026-11-01')).toBe('No entries.\n');

    expect(await run('credits grant acme --amount 5 --name x --applies-to fees --feature report')).toMatchObject({
      code: EXIT_FAILED,
      error: expect.stringContaining('credits with a match pay for usage'),
    });
    expect((await run('credits grant acme --amount 5')).code).toBe(EXIT_USAGE);
    expect((await run('credits list nobody')).code).toBe(EXIT_NOT_FOUND);
    expect((await run('credits revoke acme 999 --reason x')).code).toBe(EXIT_NOT_FOUND);
  });

  it('puts adjustments on an invoice, lists them, and takes one back', async () => {
    const add = 'adjustments add acme 2026-11-01';
    await ok(`${add} --amount 250.00 --description "Set-up" --reason "order 4711"`);
    const made = await json(`${add} --amount -20 --goodwill --description "Outage" --reason "INC-42"`);
    expect(made).toMatchObject({ kind: 'goodwill', amount: '-20', description: 'Outage', withdrawn: null });
    const { adjustment_id } = made as { adjustment_id: number };
    await ok(`adjustments withdraw acme 2026-11-01 ${adjustment_id} --reason "not us"`);
    expect(rows(await ok('adjustments list acme 2026-11-01')).map((cells) => `${cells[4]}: ${cells.at(-1)}`)).toEqual([
      'Set-up: -',
      'Outage: not us',
    ]);
    expect(await ok('period preview acme 2026-11-01')).not.toContain('Outage');
    expect(await run(`${add} --amount 20 --goodwill --description x --reason y`)).toMatchObject({
      code: EXIT_FAILED,
      error: expect.stringContaining('the amount must be negative'),
    });
  });

  it('publishes an exchange rate and lists it', async () => {
    expect(await ok('exchange-rates list --to chf')).toBe('No exchange rates.\n');
    await ok(
      'exchange-rates publish --from USD --to chf --rate 0.81 --effective-from 2026-11-01T00:00:00Z --note "Treasury"',
    );
    await ok('exchange-rates publish --from usd --to chf --rate 0.82');
    const listed = rows(await ok('exchange-rates list --from usd --to chf'));
    expect(listed.map(([, , rate]) => rate)).toEqual(['0.82', '0.81']);
    expect(listed[1]!.slice(3, 5)).toEqual(['2026-11-01T00:00:00.000Z', 'Treasury']);
    expect((await run('exchange-rates publish --from dollar --to chf --rate 1')).code).toBe(EXIT_USAGE);
  });

  it('imports a file of exchange rates once, whole or not at all', async () => {
    const csv = await file(
      'rates.csv',
      'from,to,rate,effective_from\nusd,nok,10.1,2026-11-01\nusd,nok,10.2,2026-11-02\n',
    );
    expect(await ok(`exchange-rates import ${csv} --dry-run`)).toContain('10.2');
    expect(await ok('exchange-rates list --to nok')).toBe('No exchange rates.\n');
    expect(await ok(`exchange-rates import ${csv}`)).toBe('2 published.\n');
    expect(await ok(`exchange-rates import ${csv}`)).toBe('0 published. 2 were there already.\n');
    const other = await file(
      'other.csv',
      'from,to,rate,effective_from\nusd,nok,10.3,2026-11-03\nusd,nok,10.9,2026-11-02\n',
    );
    expect(await run(`exchange-rates import ${other}`)).toMatchObject({
      code: EXIT_FAILED,
      error: expect.stringContaining('One usd is 10.2 nok from 2026-11-02T00:00:00.000Z on, not 10.9.'),
    });
    const wrong = await file(
      'wrong.csv',
      'from,to,rate,effective_from\nusd,nok,ten,2026-11-03\nusd,nok,10.3,2026-11-03\n',
    );
    expect(await run(`exchange-rates import ${wrong}`)).toMatchObject({
      code: EXIT_FAILED,
      error: expect.stringContaining('line 2: rate must be a decimal string'),
    });
    expect(rows(await ok('exchange-rates list --to nok'))).toHaveLength(2);
    expect((await run(`exchange-rates import ${join(folder, 'none.csv')}`)).code).toBe(EXIT_USAGE);

    const bank = await file(
      'eurofxref-hist.csv',
      'Date,USD,GBP,\n2026-11-03,1.0495,0.83465,\n2026-11-02,1.0412,0.83001,\n',
    );
    expect(await ok(`exchange-rates import ${bank} --from usd --to gbp --places 8`)).toBe('2 published.\n');
    expect(rows(await ok('exchange-rates list --from usd --to gbp')).map(([, , rate, at]) => `${rate} ${at}`)).toEqual([
      '0.79716673 2026-11-02T16:00:00.000Z',
      '0.79528347 2026-11-03T16:00:00.000Z',
    ]);
  });

  it('shows what a charge is over its cost as a markup and as a margin', async () => {
    await makeCustomer(api, 'globex');
    const event = usageEvent('e1', { customer_id: 'globex', usage: { input_tokens: 1_000_000 } });
    await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events: [event] } });
    const preview = await ok('period preview globex 2026-11-01');
    expect(preview).toMatch(/COST\s+AMOUNT\s+MARKUP\s+MARGIN\n.*\s3\s+3\.75\s+25%\s+20%\n/);
    expect(preview).toMatch(/markup\s+25% of the cost\nmargin\s+20% of the total\n/);
  });

  it('bills a period again under the plan that it is told, by the number of its version', async () => {
    api.commands.length = 0;
    const rebill = 'period rebill acme 2026-11-01 --reason "the contract said so"';
    await ok(`${rebill} --plan pro`);
    await ok(`${rebill} --plan pro@1 --refund refund`);
    await ok(rebill);
    const [newest, named, pinned] = api.commands.map(({ command }) => command.rebill);
    expect(newest).toEqual({
      catalog: 'pinned',
      plans: 'pinned',
      refund: 'balance',
      plan: { plan_id: 'pro', version: 1 },
    });
    expect(named).toMatchObject({ refund: 'refund', plan: { plan_id: 'pro', version: 1 } });
    expect(pinned).not.toHaveProperty('plan');
    expect((await run(`${rebill} --plan pro@one`)).code).toBe(EXIT_USAGE);
    expect((await run(`${rebill} --plan pro@2`)).code).toBe(EXIT_NOT_FOUND);
    expect(await run(`${rebill} --plan pro --plans assigned`)).toMatchObject({
      code: EXIT_FAILED,
      error: expect.stringContaining('must not stand beside plans "assigned"'),
    });
    expect(api.commands).toHaveLength(3);
  });

  it('approves the invoice that it was shown', async () => {
    api.commands.length = 0;
    await ok('period approve acme 2026-11-01 --revision 2 --total 130.00 --reason "agreed"');
    await ok('period approve acme 2026-11-01');
    expect(api.commands).toMatchObject([
      { name: 'approve', command: { reason: 'agreed', expected: { revision: 2, total: '130.00' } } },
      { name: 'approve', command: { reason: null } },
    ]);
    expect(api.commands[1]!.command.expected).toBeUndefined();
    expect((await run('period approve acme 2026-11-01 --revision two')).code).toBe(EXIT_USAGE);
  });
});
