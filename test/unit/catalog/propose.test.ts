import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { waitForUpdate } from '@pydantic/genai-prices';
import { describe, expect, it } from 'vitest';
import { readBundledCatalog } from '../../../src/catalog/bundled-catalog.js';
import { Catalog } from '../../../src/catalog/catalog.js';
import { EMPTY_CATALOG, extendCatalog } from '../../../src/catalog/catalog-data.js';
import { checkCatalogVersion } from '../../../src/catalog/check-version.js';
import { isEmptyBody, onlyProviders, type ProposeOptions, proposePrices } from '../../../src/catalog/propose.js';
import { readCandidates } from '../../../src/catalog/read-candidates.js';
import { type CatalogVersionInput, catalogVersionSchema, type PriceRowInput } from '../../../src/contracts/catalog.js';
import type { CandidateRow, PriceCandidates } from '../../../src/contracts/price-proposal.js';

const NOON = '2026-11-24T12:00:00.000Z';

const priced = (meter: string, price: string, row: Partial<PriceRowInput> = {}): PriceRowInput => ({
  provider: 'p',
  model_id: 'm',
  meter,
  price,
  per: 1_000_000,
  effective_from: '2026-01-01T00:00:00Z',
  ...row,
});
const found = (meter: string, price: string, row: Partial<CandidateRow> = {}): CandidateRow => ({
  provider: 'p',
  model_id: 'm',
  meter,
  price,
  per: 1_000_000,
  currency: 'usd',
  ...row,
});
const candidatesOf = (rows: CandidateRow[], more: Partial<PriceCandidates> = {}): PriceCandidates => ({
  source: 'litellm',
  rows,
  deprecated: [],
  skipped: [],
  ...more,
});

const dataOf = (...bodies: Omit<CatalogVersionInput, 'note'>[]) =>
  bodies.reduce(
    (before, body) => extendCatalog(before, catalogVersionSchema.parse({ note: 'x', ...body }), before.version + 1),
    EMPTY_CATALOG,
  );

/** The proposal, which has to be one that can be published. */
function propose(
  body: Omit<CatalogVersionInput, 'note'>,
  candidates: PriceCandidates,
  more: Partial<ProposeOptions> = {},
) {
  const data = dataOf(body);
  const options = {
    effective_from: NOON,
    withdraw_removed: false,
    others: [],
    own_versions: new Set<number>(),
    ...more,
  };
  const proposed = proposePrices(new Catalog(data), candidates, options);
  const parsed = catalogVersionSchema.parse(proposed.body);
  checkCatalogVersion(data, parsed);
  const after = new Catalog(extendCatalog(data, parsed, data.version + 1));
  return { ...proposed, after };
}
const reasons = (diff: ReturnType<typeof propose>['diff']) =>
  diff.entries.map(({ suspicions }) => suspicions.map(({ reason }) => reason).join());

describe('a proposal', () => {
  it('compares what a unit costs, whatever it is written per', () => {
    const known = { prices: [priced('input_tokens', '3')] };
    const same = propose(known, candidatesOf([found('input_tokens', '0.000003', { per: 1 })]));
    expect(same.diff.counts).toMatchObject({ new: 0, changed: 0, unchanged: 1 });
    expect(isEmptyBody(same.body)).toBe(true);
  });

  it('names what is new and what changed, with both prices and the factor, and applies from its instant on', () => {
    const known = { prices: [priced('input_tokens', '3'), priced('output_tokens', '15')] };
    const { diff, after } = propose(
      known,
      candidatesOf([
        found('input_tokens', '3'),
        found('output_tokens', '12'),
        found('input_tokens', '6', { context_over: 200_000 }),
        found('input_tokens', '1.5', { service_tier: 'batch' }),
      ]),
    );
    expect(diff.counts).toEqual({ new: 2, changed: 1, removed: 0, unchanged: 1, suspicious: 0, skipped: 0 });
    expect(diff.entries.find(({ kind }) => kind === 'changed')).toMatchObject({
      meter: 'output_tokens',
      old: { price: '15' },
      new: { price: '12' },
      factor: '0.8',
    });
    const prices = (atMs: number) => after.priceRowsInForce('p', 'm', atMs).map((row) => [row.meter, row.price]);
    expect(prices(Date.parse(NOON) - 1)).toEqual([
      ['input_tokens', '3'],
      ['output_tokens', '15'],
    ]);
    expect(prices(Date.parse(NOON))).toContainEqual(['output_tokens', '12']);
  });

  it('ends where an announced price begins, which it does not bury', () => {
    const announced = priced('input_tokens', '5', { effective_from: '2027-01-01T00:00:00Z' });
    const { body, after } = propose(
      { prices: [priced('input_tokens', '3'), announced] },
      candidatesOf([found('input_tokens', '4')]),
    );
    expect(body.prices).toMatchObject([{ price: '4', effective_to: '2027-01-01T00:00:00.000Z' }]);
    const at = (instant: string) => after.priceRowsInForce('p', 'm', Date.parse(instant))[0]?.price;
    expect([at('2026-12-31T23:59:59Z'), at('2027-01-01T00:00:00Z')]).toEqual(['4', '5']);
  });

  it('shows what the source lists no more, of its own prices only, and withdraws it when told to', () => {
    const known = { prices: [priced('input_tokens', '3'), priced('output_tokens', '15')] };
    const lost = candidatesOf([found('input_tokens', '3')]);
    expect(propose(known, lost).diff.counts.removed).toBe(0);
    const own_versions = new Set([1]);
    const shown = propose(known, lost, { own_versions });
    expect(shown.diff.entries).toMatchObject([
      { kind: 'removed', meter: 'output_tokens', old: { price: '15' }, new: null },
    ]);
    expect(isEmptyBody(shown.body)).toBe(true);
    const { after } = propose(known, lost, { own_versions, withdraw_removed: true });
    expect(after.priceRowsInForce('p', 'm', Date.parse(NOON)).map(({ meter }) => meter)).toEqual(['input_tokens']);
  });

  it('does not touch prices of books', () => {
    const known = { prices: [priced('input_tokens', '3'), priced('input_tokens', '1', { book: 'committed' })] };
    const { diff } = propose(known, candidatesOf([found('input_tokens', '3')]), { own_versions: new Set([1]) });
    expect(diff.entries).toEqual([]);
  });

  it('takes a fallback as the price that it leads to, and a price instead of it as a change', () => {
    const fallback = { ...priced('cache_read_tokens', '1'), price: undefined, same_as: 'input_tokens' };
    const known = { prices: [priced('input_tokens', '3'), fallback] };
    const input = found('input_tokens', '3');
    expect(propose(known, candidatesOf([input, found('cache_read_tokens', '3')])).diff.entries).toEqual([]);
    const { diff } = propose(known, candidatesOf([input, found('cache_read_tokens', '1.5')]));
    expect(diff.entries).toMatchObject([{ kind: 'changed', old: { same_as: 'input_tokens' }, factor: '0.5' }]);
  });

  it('marks models as deprecated and keeps what else is known of them', () => {
    const models = [
      { provider: 'p', model_id: 'm', name: 'M', successor: 'n', free: true },
      { provider: 'p', model_id: 'n' },
    ];
    const deprecated = [
      { provider: 'p', model_id: 'm' },
      { provider: 'p', model_id: 'unheard-of' },
    ];
    const { diff, after } = propose({ models }, candidatesOf([], { deprecated }));
    expect(diff.deprecated).toEqual([{ provider: 'p', model_id: 'm' }]);
    expect(after.modelEntry('p', 'm')).toMatchObject({ deprecated: true, name: 'M', successor: 'n', free: true });
  });

  it('can be cut down to some providers, and counts what that leaves out', () => {
    const cut = onlyProviders(
      candidatesOf([found('input_tokens', '3'), found('input_tokens', '3', { provider: 'q' })]),
      new Set(['p']),
    );
    expect(cut.rows).toHaveLength(1);
    expect(cut.skipped).toEqual([
      { provider: 'q', model_id: '*', key: '*', reason: '1 prices of a provider that was not asked for' },
    ]);
  });
});

describe('a suspicious price', () => {
  const known = { prices: [priced('input_tokens', '3')] };

  it.each([
    ['9', ''],
    ['9.1', 'large_move'],
    ['1', ''],
    ['0.9', 'large_move'],
    ['3000', 'unit'],
    ['0.003', 'unit'],
    ['4000', 'unit'],
    ['0.000003', 'unit'],
    ['1800000', 'unit'],
    ['30', 'large_move'],
  ])('is told by how far it moves: 3 to %s', (price, reason) => {
    expect(reasons(propose(known, candidatesOf([found('input_tokens', price)])).diff)).toEqual([reason]);
  });

  it.each([
    ['3', 1, 'unit'],
    ['0.003', 1, 'unit'],
    ['0.000000001', 1_000_000, 'unit'],
    ['0.000003', 1, ''],
    ['600', 1_000_000, ''],
    ['0.01', 1_000_000, ''],
  ])('is told by what no token costs, where it is new: %s per %s', (price, per, reason) => {
    const { diff } = propose({}, candidatesOf([found('input_tokens', price, { per })]));
    expect(reasons(diff)).toEqual([reason]);
  });

  it('is told by a source that says otherwise', () => {
    const others = [{ ...candidatesOf([found('input_tokens', '5')]), source: 'models.dev' as const }];
    const differing = propose(known, candidatesOf([found('input_tokens', '4')]), { others });
    expect(differing.diff.entries[0]?.suspicions).toEqual([
      { reason: 'sources_disagree', detail: 'models.dev says 5 per 1000000' },
    ]);
    expect(reasons(propose(known, candidatesOf([found('input_tokens', '5')]), { others }).diff)).toEqual(['']);
  });

  it('is left out of the version where the model has another currency', () => {
    const euros = { prices: [priced('input_tokens', '3', { currency: 'eur' })] };
    const { diff, body } = propose(euros, candidatesOf([found('input_tokens', '3')]));
    expect(reasons(diff)).toEqual(['currency']);
    expect(isEmptyBody(body)).toBe(true);
  });

  it('is one whose model is priced as another one so far; the same price is no news', () => {
    const ruled = {
      ...known,
      match_rules: [{ provider: 'p', clause: { starts_with: 'm-' }, model_id: 'm' }],
    };
    const dated = { model_id: 'm-2026' };
    expect(propose(ruled, candidatesOf([found('input_tokens', '3', dated)])).diff.counts.unchanged).toBe(1);
    const { diff, body } = propose(
      ruled,
      candidatesOf([found('input_tokens', '3', dated), found('output_tokens', '15', dated)]),
    );
    expect(reasons(diff)).toEqual(['resolves_otherwise', 'resolves_otherwise']);
    // It gets all of its rows or none: with some only, its other meters would be held.
    expect(body.prices).toHaveLength(2);
  });

  it('is one that makes a name ambiguous', () => {
    const other = candidatesOf([found('input_tokens', '3', { provider: 'q' })]);
    expect(reasons(propose(known, other).diff)).toEqual(['becomes_ambiguous']);
  });

  it('stands first', () => {
    const { diff } = propose(
      { prices: [priced('input_tokens', '3'), priced('output_tokens', '3')] },
      candidatesOf([found('input_tokens', '4'), found('output_tokens', '300')]),
    );
    expect(diff.entries.map(({ meter }) => meter)).toEqual(['output_tokens', 'input_tokens']);
  });
});

describe('the bundled prices', () => {
  it('say the same as the package that they were made of: a proposal of it is empty', async () => {
    const catalog = Catalog.fromBody(await readBundledCatalog());
    const candidates = readCandidates('genai-prices', JSON.parse(JSON.stringify(await waitForUpdate())), NOON);
    const options = { effective_from: NOON, withdraw_removed: true, others: [], own_versions: new Set([1]) };
    const { diff, body } = proposePrices(catalog, candidates, options);
    expect(diff.entries).toEqual([]);
    expect(isEmptyBody(body)).toBe(true);
  });

  it('differ from the recorded map in what was changed there, a wrong unit among it', async () => {
    const data = extendCatalog(EMPTY_CATALOG, await readBundledCatalog(), 1);
    const catalog = new Catalog(data);
    const path = fileURLToPath(new URL('../../fixtures/price-sources/litellm.json', import.meta.url));
    const all = readCandidates('litellm', JSON.parse(readFileSync(path, 'utf8')), NOON);
    const candidates = onlyProviders(all, new Set(['anthropic', 'openai', 'google']));
    const options = { effective_from: NOON, withdraw_removed: false, others: [], own_versions: new Set<number>() };
    const { diff, body } = proposePrices(catalog, candidates, options);
    const of = (model: string, meter: string) =>
      diff.entries.find((entry) => entry.model_id === model && entry.meter === meter && entry.service_tier === null);
    expect(of('claude-sonnet-4-5', 'input_tokens')).toBeUndefined();
    expect(of('gpt-5', 'output_tokens')).toMatchObject({ kind: 'changed', factor: '0.8', suspicions: [] });
    expect(of('gpt-4o-mini', 'input_tokens')).toMatchObject({ suspicions: [{ reason: 'unit' }] });
    expect(() => checkCatalogVersion(data, catalogVersionSchema.parse(body))).not.toThrow();
  });
});
