import fc from 'fast-check';
import { type Plan, type PlanInput, planSchema } from '../../../../src/contracts/plan.js';
import { checkPlan } from '../../../../src/plans/plan-rules.js';
import type { NaiveAssignment, NaiveEvent, NaiveGrant, NaivePeriod, NaivePrice } from './period.js';
import { plans } from './plans.js';

/* Contracts of some months with everything that a plan can say, and the usage of their customers. */

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 10, 1);
/** The first of a month, counted from November 2026. */
const monthStart = (month: number): number => Date.UTC(2026, 10 + month, 1);

/** Pages of the second row are dear; one model is priced in another currency than the others. */
export const PRICES: readonly NaivePrice[] = [
  { model: 'a', meter: 'requests', price: '0.75', per: 1, currency: 'usd', from: 0 },
  { model: 'a', meter: 'pages', price: '0.125', per: 1, currency: 'usd', from: 0 },
  { model: 'a', meter: 'pages', price: '0.615', per: 1, currency: 'usd', from: Date.UTC(2026, 10, 18) },
  { model: 'a', meter: 'annotated_pages', price: '1', per: 3, currency: 'usd', from: 0 },
  { model: 'a', meter: 'browser_seconds', price: '0.0213', per: 1, currency: 'usd', from: 0 },
  { model: 'b', meter: 'requests', price: '12.5', per: 7, currency: 'eur', from: 0 },
  { model: 'b', meter: 'pages', price: '0.333', per: 1, currency: 'eur', from: 0 },
  { model: 'b', meter: 'annotated_pages', price: '0', per: 1, currency: 'eur', from: 0 },
  { model: 'b', meter: 'browser_seconds', price: '0.5', per: 60, currency: 'eur', from: 0 },
  { model: 'workspace', meter: 'seats', price: '0', per: 1, currency: 'usd', from: 0 },
  { model: 'desk', meter: 'seats', price: '2.5', per: 1, currency: 'usd', from: 0 },
];

/** What a dollar and a euro are in the currency of the invoice. */
const RATES: Readonly<Record<string, Record<string, string>>> = {
  usd: { eur: '1.0837' },
  eur: { usd: '0.91' },
  jpy: { usd: '151.235', eur: '163.9' },
  kwd: { usd: '0.3075', eur: '0.3333' },
  isk: { usd: '137.45', eur: '149' },
};

/** A contract of some months; each period's opening is what the one before it leaves. */
export interface NaiveContract {
  currency: string;
  /** When billing begins, and when it ends; null: it goes on. */
  starts: number;
  ends: number | null;
  months: number;
  assignments: NaiveAssignment[];
  events: NaiveEvent[];
  grants: NaiveGrant[];
  /** By month. */
  late: bigint[][];
  adjustments: string[][];
}

/** A period's terms without its opening. */
export function periodsOf(contract: NaiveContract): Omit<NaivePeriod, 'opening'>[] {
  const { currency, starts, ends, months, assignments, events } = contract;
  const spans = Array.from({ length: months + 1 }, (_, month) => {
    const calendar = { from: monthStart(month), to: monthStart(month + 1) };
    const [start, end] = [Math.max(calendar.from, starts), Math.min(calendar.to, ends ?? calendar.to)];
    return start < end ? { start, end, calendar } : null;
  });
  const inForce = (at: number) => assignments.findLast(({ from }) => from <= at) ?? assignments[0]!;
  return spans.slice(0, months).flatMap((span, month) => {
    if (span === null) return [];
    const { start, end } = span;
    const next = spans[month + 1];
    return [
      {
        ...span,
        currency,
        rates: RATES[currency]!,
        prices: PRICES,
        assignments: [
          { ...inForce(start), from: start },
          ...assignments.filter(({ from }) => start < from && from < end),
        ],
        events: events.filter(({ at }) => start <= at && at < end),
        late: contract.late[month] ?? [],
        adjustments: contract.adjustments[month] ?? [],
        next: next == null ? null : { ...next, ...inForce(next.start) },
      },
    ];
  });
}

const quantity = fc.integer({ min: 0, max: 60 });
/** Any instant of the months, often the midnight of every third day: there events and changes of plan meet. */
const instantIn = (months: number): fc.Arbitrary<number> => {
  const ms = monthStart(months) - START;
  return fc.oneof(
    fc.nat(Math.floor(ms / DAY_MS / 3) - 1).map((third) => START + third * 3 * DAY_MS),
    fc.nat(ms / 1_000 - 1).map((second) => START + second * 1_000),
  );
};
const event = (months: number): fc.Arbitrary<NaiveEvent> =>
  fc
    .record({
      at: instantIn(months),
      model: fc.constantFrom('a', 'a', 'b'),
      feature: fc.constantFrom('chat', 'chat', 'report', 'report', 'search', 'other'),
      region: fc.constantFrom(null, 'eu'),
      action: fc.constantFrom(null, 'one', 'two', 'three', 'four', 'five', 'six'),
      paid_by: fc.constantFrom<NaiveEvent['paid_by'][]>('us', 'us', 'us', 'us', 'us', 'customer'),
      reported: fc.option(
        fc.nat(3_000).map((n) => money(n, 2)),
        { freq: 3, nil: null },
      ),
      pages: quantity,
      annotated: quantity,
      requests: quantity,
      tenths: quantity,
      seats: fc.option(fc.integer({ min: 1, max: 12 }), { freq: 4, nil: null }),
    })
    .map(({ pages, annotated, requests, tenths, seats, ...rest }) => {
      if (seats !== null) {
        const usage = { seats: `${seats}` };
        return { ...rest, model: rest.model === 'b' ? 'desk' : 'workspace', reported: null, paid_by: 'us', usage };
      }
      const usage: Record<string, string> = {
        // Most events have few meters.
        ...(pages % 2 === 0 ? {} : { pages: `${pages}` }),
        ...(annotated % 5 === 0 && annotated > 0 ? { annotated_pages: `${annotated}` } : {}),
        ...(tenths % 3 === 0 && tenths > 0 ? { browser_seconds: money(tenths, 1) } : {}),
        requests: `${(requests % 9) + 1}`,
      };
      return { ...rest, usage };
    });

/** When, and to which of the plans. */
const change = (months: number): fc.Arbitrary<[from: number, plan: number]> =>
  fc.tuple(instantIn(months), fc.constantFrom(1, 2, 2, 1, 0));

const onWhat = fc.constantFrom('all' as const, 'all' as const, 'usage' as const, 'fees' as const);
const grant = fc.record({
  priority: fc.constantFrom(50, 100),
  expires_at: fc.option(
    fc.constantFrom(
      ...[10, 30, 45, 61].flatMap((day) => [START + day * DAY_MS - 1, START + day * DAY_MS, START + day * DAY_MS + 1]),
    ),
    { nil: null },
  ),
  cost_basis: fc.constantFrom(null, '0', '0.5', '0.8'),
  applies_to: onWhat,
  left: fc.bigInt(1n, 20_000n),
});

/** Any contract over up to so many months. */
export function contracts(most: number, events = 14): fc.Arbitrary<NaiveContract> {
  return fc
    .record({
      currency: fc.constantFrom('usd', 'eur', 'jpy', 'kwd', 'isk'),
      months: fc.integer({ min: 1, max: most }),
      cut: fc.constantFrom('none', 'none', 'start', 'end', 'both'),
      offset: fc.tuple(fc.nat(29 * 86_400), fc.nat(29 * 86_400)),
    })
    .chain(({ currency, months, cut, offset: [late, early] }) => {
      const starts = START + (cut === 'start' || cut === 'both' ? late * 1_000 : 0);
      const ends = cut === 'end' || cut === 'both' ? monthStart(months) - early * 1_000 : null;
      return fc
        .record({
          plans: fc.tuple(plans, plans, plans),
          changes: fc.oneof(
            fc.constant<[from: number, plan: number][]>([]),
            fc.array(change(months), { maxLength: 3 }),
          ),
          events: fc.array(event(months), { maxLength: events * months, size: '+1' }),
          grants: fc.array(grant, { maxLength: 3 }),
          late: fc.array(fc.array(fc.bigInt(-2_000n, 9_000n), { maxLength: 2 }), { maxLength: months }),
          adjustments: fc.array(
            fc.array(
              fc.integer({ min: -9_000, max: 9_000 }).map((n) => (n < 0 ? `-${money(-n, 3)}` : money(n, 3))),
              { maxLength: 2 },
            ),
            { maxLength: months },
          ),
        })
        .map((rest): NaiveContract => {
          // Two versions of one plan, and another plan.
          const versions = rest.plans.map((body, index) => {
            const plan = published({ ...body, plan_id: index === 2 ? 'basic' : 'pro', currency });
            return { plan, version: index === 1 ? 2 : 1 };
          });
          const changes = rest.changes.map(([from, index]) => ({ ...versions[index]!, from }));
          return {
            currency,
            months,
            starts,
            ends: ends !== null && ends <= starts ? null : ends,
            assignments: [
              { ...versions[0]!, from: Number.NEGATIVE_INFINITY },
              ...changes.sort((a, b) => a.from - b.from).filter(({ from }, index) => changes[index + 1]?.from !== from),
            ],
            events: rest.events,
            grants: rest.grants.map((one, index) => ({ ...one, id: index + 1 })),
            late: rest.late,
            adjustments: rest.adjustments,
          };
        });
    });
}

/** A contract of one month with a line for each of so many actions. */
export function manyLines(lines: number): fc.Arbitrary<NaiveContract> {
  return fc.tuple(contracts(1), fc.integer({ min: 1, max: 50 })).map(([contract, least]) => {
    const [{ plan: any }] = contract.assignments as [NaiveAssignment];
    const catchAll = any.rules.at(-1)!;
    const plan = published({ ...any, rules: [catchAll], lines: { ...any.lines, group_by: ['action_id'] } });
    return {
      ...contract,
      starts: START,
      ends: null,
      assignments: [{ plan, version: 1, from: Number.NEGATIVE_INFINITY }],
      events: Array.from({ length: lines }, (_, index) => ({
        at: START + index * 3_600_000,
        model: index % 2 === 0 ? 'a' : 'b',
        feature: index % 3 === 0 ? 'chat' : 'report',
        region: null,
        action: `action ${index}`,
        paid_by: 'us',
        reported: null,
        usage: { requests: `${least + ((index * 7) % lines)}` },
      })),
    };
  });
}

/** A plan as it is published: checked, with its defaults. */
function published(body: PlanInput): Plan {
  const plan = planSchema.parse(body);
  checkPlan(plan);
  return plan;
}

/** n / 10^places. */
export function money(n: number, places: number): string {
  const text = `${n}`.padStart(places + 1, '0');
  return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`;
}
