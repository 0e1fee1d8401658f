import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identifyLines } from '../../src/invoicing/line-identity.js';
import { expectCorrected, openCorrection } from '../support/correction.js';
import { cloneDatabase } from '../support/database.js';
import { expectBooks, openSubscription } from '../support/subscription.js';
import { compose, rest } from '../unit/invoicing/plan-cases.js';

const [REPORTS, SCANS] = ['txcd_10103001', 'txcd_20030000'];
const rule = (feature: string, unit_price: string, tax_code: string) => ({
  name: `${feature[0]!.toUpperCase()}${feature.slice(1)}s`,
  match: { feature },
  unit_price,
  count: 'actions' as const,
  unit: `${feature}s`,
  stripe: { tax_code },
});
const PLAN = { rules: [rule('report', '0.40', REPORTS!), rule('scan', '1.00', SCANS!), rest] };

/** An invoice of two rules with prices of their own: its lines, and their amounts in minor units. */
function billed(reports: number, scans: number) {
  const { content } = compose({
    plan: PLAN,
    used: [...(reports > 0 ? [{ feature: 'report' }] : []), ...(scans > 0 ? [{ feature: 'scan' }] : [])],
    actions: { 'rule 0': reports, 'rule 1': scans },
  });
  return { amounts: identifyLines(content).map(({ amount }) => amount), lines: content.lines };
}

describe('a re-bill of rules with prices of their own', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  const onTop = {
    automatic: { behavior: 'exclusive' as const, basis_points: 1_900, by_tax_code: { [REPORTS!]: 700, [SCANS!]: 0 } },
  };
  const open = ({ amounts, lines }: ReturnType<typeof billed>) =>
    openCorrection(database.pool, { before: 'paid', first: amounts, lines, onTop });
  const next = (scenario: Awaited<ReturnType<typeof open>>, { amounts, lines }: ReturnType<typeof billed>) =>
    scenario.next(amounts, 'refund', lines);

  it('asks for reports that came late on a line of reports, taxed as they are', async () => {
    const scenario = await open(billed(0, 5));
    await next(scenario, billed(3, 5));
    await expectCorrected(scenario);
    const supplement = scenario.invoices().find(({ status }) => status === 'open')!;
    expect(
      supplement.lines.map(({ description, amount, tax_code, taxes }) => [
        description,
        amount,
        tax_code,
        taxes[0]!.amount,
      ]),
    ).toEqual([['Correction · Reports · 3 reports', 120, REPORTS, 8]]);
    await scenario.close();
  });

  it('takes voided reports back on their own line', async () => {
    const scenario = await open(billed(10, 5));
    const [reports] = scenario.invoices()[0]!.lines;
    expect(reports).toMatchObject({ description: 'Reports · 10 reports', tax_code: REPORTS });
    await next(scenario, billed(0, 5));
    await expectCorrected(scenario);
    const [note] = scenario.standIn.state().credit_notes;
    expect(note).toMatchObject({ subtotal: 400, total: 428 });
    expect(note!.lines).toMatchObject([{ invoice_line_item: reports!.id, amount: 400 }]);
    await scenario.close();
  });

  it('takes back what an invoice for a difference asked for on the line of it that came down', async () => {
    const scenario = await open(billed(5, 5));
    await next(scenario, billed(8, 9));
    await expectCorrected(scenario);
    const { id, lines } = scenario.invoices().find(({ status }) => status === 'open')!;
    expect(lines.map(({ amount }) => amount)).toEqual([120, 400]);
    await scenario.pay(id);
    await next(scenario, billed(8, 6));
    await expectCorrected(scenario);
    const [note] = scenario.standIn.state().credit_notes;
    expect(note!.lines).toMatchObject([{ invoice_line_item: lines[1]!.id, amount: 300 }]);
    await scenario.close();
  });

  it('says on a subscription which line changed, again and again', async () => {
    const { amounts, lines } = billed(0, 5);
    const scenario = await openSubscription(database.pool, { amounts, lines });
    const issue = () => {
      scenario.standIn.renew(scenario.subscription);
      scenario.standIn.issueDrafts();
    };
    await scenario.place();
    const further: [number, number, number][] = [
      [3, 5, 620],
      [3, 2, 320],
      [0, 2, 200],
    ];
    for (const [reports, scans, books] of further) {
      issue();
      const revision = billed(reports, scans);
      await scenario.next(revision.amounts, revision.lines);
      await expectBooks(scenario, books);
    }
    const items = scenario.standIn.state().invoice_items.filter(({ metadata }) => metadata.costplus_line !== undefined);
    expect(items.map(({ description, amount, tax_code }) => [description, amount, tax_code])).toEqual([
      ['Scans · 5 scans', 500, SCANS],
      ['Correction · Reports · 3 reports', 120, REPORTS],
      ['Correction · Scans · 2 scans', -300, SCANS],
      ['Correction · Reports · 3 reports', -120, REPORTS],
    ]);
    await scenario.close();
  });
});
