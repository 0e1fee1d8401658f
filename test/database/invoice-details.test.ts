import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { runCommandLine } from '../../src/cli/command-line.js';
import { EXIT_NOT_FOUND, EXIT_OK } from '../../src/cli/exit-codes.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { InvoiceView } from '../../src/contracts/invoice.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { readCustomerDetails } from '../../src/invoicing/customer-details.js';
import { readInvoiceDetails } from '../../src/invoicing/invoice-details.js';
import { add, type Fraction, format, parseDecimal, ZERO } from '../../src/money/fraction.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { expectProblem, startTestApi, type TestApi } from '../support/http.js';
import { customer, publishBasics } from '../support/ledger.js';

type Row = Record<string, string>;
const rowsOf = (csv: string): Row[] => parse(csv, { columns: true });
const signed = (text: string): Fraction => {
  const value = parseDecimal(text.replace(/^-/, ''));
  return text.startsWith('-') ? { n: -value.n, d: value.d } : value;
};
const exactly = (text: string) => format(signed(text));
const sumOf = (rows: Row[], column: string) => {
  const sum = rows.reduce((total, row) => add(total, signed(row[column]!)), ZERO);
  return format(sum);
};

describe('the detail files of an invoice', () => {
  let run: BillingRun;
  let api: TestApi;
  const OCTOBER = '2026-10-01';

  beforeAll(async () => {
    api = await startTestApi();
    run = await openBillingRun(api.pool);
    await publishBasics(run.pool);
    const seats = { provider: 'acme', model_id: 'seats', meter: 'seats', currency: 'usd', price: '0', free: true };
    await publish({ ...seats, effective_from: '2020-01-01T00:00:00Z' });
  });
  afterAll(async () => {
    await run.end();
    await api.close();
  });

  const publish = (price: Record<string, unknown>) =>
    publishCatalogVersion(run.pool, catalogVersionSchema.parse({ note: 'a price', prices: [price] }), {
      actor: 'test',
      source: 'test',
    });
  const open = async (id: string, plan: Partial<PlanInput>) => {
    await publishPlan(run.pool, { plan_id: id, currency: 'usd', rules: [{ markup: '0.25' }], ...plan }, 'test');
    await customer(run.pool, id, { plan_id: id });
  };
  const event = (customer_id: string, event_id: string, more = {}) => ({
    customer_id,
    event_id,
    occurred_at: '2026-10-10T00:00:00Z',
    usage: { input_tokens: 1_000_000, output_tokens: 1_000 },
    ...more,
  });
  const links = () => api.deps.detailsLinks;
  const read = async (customer_id: string, revision = 1) => {
    const name = { customer_id, start_date: OCTOBER, revision };
    return rowsOf([...(await readCustomerDetails(run, name, links())).csv].join(''));
  };

  it('the customer’s has every line and every group, and sums to the invoice', async () => {
    await open('all', {
      base_fee: '49.00',
      rules: [
        { match: { feature: 'report' }, graduated: [{ up_to: '1', price: '2' }, { price: '1' }], count: 'events' },
        { match: { feature: 'search' }, unit_price: '0.10', count: 'events' },
        { markup: '0.3333' },
      ],
      allowance: [
        { quantity: '1500000', match: { feature: 'chat', meter: 'input_tokens' }, name: 'chat' },
        { charge: '5.00' },
      ],
      seats: { meter: 'seats', price: '10', included: 1 },
      lines: { group_by: ['feature', 'meter'] },
    });
    await run.append([
      event('all', 'a', { feature: 'chat' }),
      event('all', 'b', { feature: 'chat' }),
      event('all', 'c', { feature: 'report' }),
      event('all', 'd', { feature: 'report' }),
      event('all', 'e', { feature: 'search' }),
      event('all', 'f'),
      event('all', 's', { provider: 'acme', model_id: 'seats', usage: { seats: 3 } }),
      event('all', 's2', { provider: 'acme', model_id: 'seats', usage: { seats: 2 } }),
    ]);
    await run.close({ customer_id: 'all', start_date: OCTOBER });
    const invoice = await run.newest({ customer_id: 'all', start_date: OCTOBER });
    const rows = await read('all');
    const lines = rows.filter(({ record }) => record === 'line');
    expect(lines.map(({ description, amount }) => [description, amount])).toEqual(
      invoice.lines.map(({ description, amount }) => [description, amount]),
    );
    expect(sumOf(lines, 'amount')).toBe(exactly(invoice.total));
    const usage = rows.filter(({ record }) => record === 'usage');
    expect(usage.every(({ amount, line }) => amount === '' && line !== '')).toBe(true);
    // Every group of the ops file is in it: the quantities by line and meter are the same.
    const ops = rowsOf([...(await readInvoiceDetails(run, 'all', OCTOBER, 1))].join(''));
    const byGroup = (of: Row[]) =>
      of.map(({ line, model_id, meter, feature, quantity }) => [line, model_id, meter, feature, quantity]);
    const isReport = ({ meter }: Row) => meter === 'seats';
    expect(byGroup(usage).sort()).toEqual(byGroup(ops.filter((row) => !isReport(row))).sort());
    // Where each group has a charge of its own, they come to the charge of their line, exactly.
    const whole = lines.filter(({ line }) => {
      const own = usage.filter((row) => row.line === line);
      return own.length > 0 && own.every(({ priced_by }) => priced_by === 'group');
    });
    expect(whole.length).toBeGreaterThan(3);
    for (const { line, charge } of whole) {
      expect(
        sumOf(
          usage.filter((row) => row.line === line),
          'charge',
        ),
      ).toBe(exactly(charge!));
    }
    // Two reports, the larger one is charged: their sum is no number of seats.
    expect(usage.some(isReport)).toBe(false);
    expect(lines.find(({ kind }) => kind === 'seats')).toMatchObject({ quantity: '3', unit: 'seats' });
    expect(ops.find(isReport)!.line).toBe(lines.find(({ kind }) => kind === 'seats')!.line);
    expect(usage.filter(({ feature }) => feature === 'report').map(({ charge }) => charge)).toEqual(['', '']);
  });

  it('the customer’s says nothing of costs, margins, provider prices and other inner names', async () => {
    await open('discreet', {
      rules: [{ match: { source: 'inner-source' }, markup: '0.77' }, { margin: '0.31' }],
    });
    await run.append([event('discreet', 'a')]);
    await run.close({ customer_id: 'discreet', start_date: OCTOBER });
    const name = { customer_id: 'discreet', start_date: OCTOBER, revision: 1 };
    const csv = [...(await readCustomerDetails(run, name, links())).csv].join('');
    expect(csv.split('\n')[0]).toBe(
      'record,line,description,kind,provider,model_id,meter,quantity,unit,events,charge,amount,currency,priced_by',
    );
    // 3 dollars for the input and 0.015 for the output is what the provider takes.
    expect(csv).not.toMatch(/cost|margin|markup|multiplier|inner-source|\b3\.00\b|,3,|0\.015|0\.31|0\.77/);
  });

  it('usage of one name is one row for the customer, whatever provider prices it took', async () => {
    await open('merged', {});
    const moved = { occurred_at: '2026-10-20T00:00:00Z' };
    // Dearer from the 15th.
    await publish({
      provider: 'anthropic',
      model_id: 'claude-x',
      meter: 'input_tokens',
      price: '4.00',
      per: 1_000_000,
      currency: 'usd',
      effective_from: '2026-10-15T00:00:00Z',
    });
    const usage = { input_tokens: 1_000_000 };
    await run.append([event('merged', 'a', { usage }), event('merged', 'b', { usage, ...moved })]);
    await run.close({ customer_id: 'merged', start_date: OCTOBER });
    const ops = rowsOf([...(await readInvoiceDetails(run, 'merged', OCTOBER, 1))].join(''));
    expect(ops.map(({ price }) => price).sort()).toEqual(['3.00', '4.00']);
    const own = (await read('merged')).filter(({ record }) => record === 'usage');
    // 3 and 4 dollars and a quarter on top.
    expect(own).toMatchObject([{ quantity: '2000000', events: '2', charge: '8.75' }]);
  });

  it('late usage that an invoice carries stands below its line', async () => {
    await open('late', {});
    await run.append([event('late', 'a')]);
    await run.close({ customer_id: 'late', start_date: OCTOBER });
    await run.append([event('late', 'b', { usage: { input_tokens: 5_000 } })]);
    await run.append([event('late', 'c', { occurred_at: '2026-11-03T00:00:00Z' })]);
    await run.close({ customer_id: 'late', start_date: '2026-11-01' });
    const name = { customer_id: 'late', start_date: '2026-11-01', revision: 1 };
    const rows = rowsOf([...(await readCustomerDetails(run, name, links())).csv].join(''));
    const line = rows.find(({ kind }) => kind === 'late_usage')!;
    expect(rows.filter((row) => row.line === line.line && row.record === 'usage')).toMatchObject([
      { meter: 'input_tokens', quantity: '5000', charge: '', priced_by: 'late' },
    ]);
    const invoice = await run.newest({ customer_id: 'late', start_date: '2026-11-01' });
    expect(
      sumOf(
        rows.filter(({ record }) => record === 'line'),
        'amount',
      ),
    ).toBe(exactly(invoice.total));
  });

  describe('behind a link', () => {
    const linkOf = async (revision: number, key = api.keys.ops) => {
      const url = `/v1/periods/linked/${OCTOBER}/invoices/${revision}/details-link`;
      return api.call('GET', url, { key });
    };
    let path: string;

    beforeAll(async () => {
      await open('linked', {});
      await run.append([event('linked', 'a'), event('linked', 'b')]);
      await run.close({ customer_id: 'linked', start_date: OCTOBER });
      path = ((await linkOf(1)).body as { path: string }).path;
    });

    it('opens without a key, for the customer alone, and is not logged', async () => {
      const answer = await api.call('GET', path, { key: null });
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': 'attachment; filename="linked-2026-10-01-1.csv"',
        'cache-control': 'private, no-cache',
        'x-robots-tag': 'noindex, nofollow, noarchive',
        'referrer-policy': 'no-referrer',
      });
      const invoice = (await api.call('GET', `/v1/periods/linked/${OCTOBER}/invoices/1`)).body as InvoiceView;
      expect(
        sumOf(
          rowsOf(answer.text).filter(({ record }) => record === 'line'),
          'amount',
        ),
      ).toBe(exactly(invoice.total));
      const token = path.split('/').at(-1)!;
      expect(api.logs.some((line) => line.includes('/v1/invoice-details/:customer_id'))).toBe(true);
      expect(api.logs.join('')).not.toContain(token);
    });

    it('answers the same to a wrong token, another revision, and an invoice that is not there', async () => {
      const wrong = path.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
      const unknown = links().pathOf({ customer_id: 'nobody', start_date: OCTOBER, revision: 1 });
      const odd = path.replace('/linked/', '/linked%0A/').replace(OCTOBER, 'october');
      const answers = await Promise.all(
        [wrong, path.replace('/1/', '/2/'), unknown, odd, path.replace('/1/', '/x/')].map((url) =>
          api.call('GET', url, { key: null }),
        ),
      );
      for (const answer of answers) {
        expectProblem(answer, 404, 'not_found');
        expect(answer.body).toEqual(answers[0]!.body);
        expect(answer.headers['cache-control']).toBe('no-store');
      }
      expect((await api.call('POST', path, { key: null })).status).toBe(404);
    });

    it('is told to ops and finance, and to nobody for a revision that is not there', async () => {
      expect((await linkOf(1)).body).toEqual({
        revision: 1,
        current_revision: 1,
        path,
        url: `https://billing.example.com${path}`,
      });
      expect((await linkOf(1, api.keys.finance)).status).toBe(200);
      expect((await linkOf(1, api.keys.service)).status).toBe(403);
      expectProblem(await linkOf(2), 404, 'unknown_invoice');
    });

    it('is printed by the command line, alone, so that it can be sent on', async () => {
      const written: string[] = [];
      const output = {
        out: (text: string) => void written.push(text),
        error: (text: string) => void written.push(text),
      };
      const environment = {
        COSTPLUS_URL: await api.server.listen({ host: '127.0.0.1', port: 0 }),
        COSTPLUS_API_KEY: api.keys.ops,
      };
      const command = (line: string) => runCommandLine(line.split(' '), { environment, output });
      expect(await command(`invoice details-link linked ${OCTOBER}`)).toBe(EXIT_OK);
      expect(written.join('').trim()).toBe(`https://billing.example.com${path}`);
      expect(await command(`invoice details-link linked ${OCTOBER} 7`)).toBe(EXIT_NOT_FOUND);
    });

    it('still opens when its revision was replaced, and says which one is current', async () => {
      const before = (await api.call('GET', path, { key: null })).text;
      await api.call('POST', '/v1/usage/linked/a/void', { body: { reason: 'sent twice' } });
      await run.rebill({ customer_id: 'linked', start_date: OCTOBER });
      const current = links().urlOf({ customer_id: 'linked', start_date: OCTOBER, revision: 2 });
      const answer = await api.call('GET', path, { key: null });
      expect(answer.headers.link).toBe(`<${current}>; rel="latest-version"`);
      const [notice, ...rest] = rowsOf(answer.text);
      expect(notice!.record).toBe('notice');
      expect(notice!.description).toContain(`Revision 2 is current: ${current}`);
      expect(rest).toEqual(rowsOf(before));
      expect((await linkOf(1)).body).toMatchObject({ revision: 1, current_revision: 2 });
      const second = await api.call('GET', ((await linkOf(2)).body as { path: string }).path, { key: null });
      expect(second.headers.link).toBeUndefined();
      expect(rowsOf(second.text)[0]!.record).toBe('line');
    });
  });

  it('is made as it is read: a file of many groups is never one text', async () => {
    await open('many', { lines: { group_by: ['action_id'] } });
    const events = Array.from({ length: 1_200 }, (_, at) => event('many', `e${at}`, { action_id: `run-${at}` }));
    await run.append(events.slice(0, 1_000));
    await run.append(events.slice(1_000));
    await run.close({ customer_id: 'many', start_date: OCTOBER });
    const name = { customer_id: 'many', start_date: OCTOBER, revision: 1 };
    const chunks = [...(await readCustomerDetails(run, name, links())).csv];
    expect(chunks.length).toBeGreaterThan(4);
    const rows = rowsOf(chunks.join(''));
    expect(rows.filter(({ record }) => record === 'usage')).toHaveLength(2 * 1_200);
    const invoice = await run.newest({ customer_id: 'many', start_date: OCTOBER });
    expect(
      sumOf(
        rows.filter(({ record }) => record === 'line'),
        'amount',
      ),
    ).toBe(exactly(invoice.total));
  });
});
