import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from '../../src/contracts/page.js';
import type { Proposal } from '../../src/contracts/price-proposal.js';
import { expectProblem, startTestApi, type TestApi } from '../support/http.js';

const price = (model_id: string, meter: string, text: string, more: object = {}) => ({
  provider: 'openai',
  model_id,
  meter,
  price: text,
  per: 1_000_000,
  effective_from: '2026-01-01T00:00:00Z',
  ...more,
});

describe('the catalog over HTTP', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
    const body = {
      note: 'a catalog',
      prices: [
        price('gpt-5', 'input_tokens', '1.25'),
        price('gpt-5', 'output_tokens', '10'),
        price('gpt-5', 'input_tokens', '0.6', { book: 'committed' }),
        price('gpt-4', 'input_tokens', '30'),
      ],
      models: [{ provider: 'openai', model_id: 'gpt-4', deprecated: true, successor: 'gpt-5', name: 'GPT-4' }],
      multipliers: [
        { provider: 'openai', service_tier: 'batch', multiplier: '0.5', effective_from: '2026-01-01T00:00:00Z' },
      ],
      source_books: [{ source_id: 'gateway', book: 'committed', effective_from: '2026-01-01T00:00:00Z' }],
    };
    expect((await api.call('POST', '/v1/catalog/versions', { body })).status).toBe(201);
  });
  afterAll(() => api.close());

  it('shows conditions, multipliers, deprecated models and their successors with a price', async () => {
    const found = await api.call('GET', '/v1/catalog/price?provider=openai&model_id=gpt-5');
    expect(found.body).toMatchObject({
      deprecated: false,
      rows: [{ price: '1.25', book: null }, { price: '10' }, { price: '0.6', book: 'committed' }],
      multipliers: [{ service_tier: 'batch', multiplier: '0.5', model_id: null }],
    });
    const old = await api.call('GET', '/v1/catalog/price?provider=openai&model_id=gpt-4');
    expect(old.body).toMatchObject({ deprecated: true, successor: 'gpt-5', name: 'GPT-4' });
  });

  it('lists models, page by page', async () => {
    const names: string[] = [];
    let cursor = '';
    do {
      const page = (await api.call('GET', `/v1/catalog/models?limit=1${cursor}`)).body as Page<{ model_id: string }>;
      names.push(...page.data.map(({ model_id }) => model_id));
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
    } while (cursor !== '');
    expect(names).toEqual(['gpt-4', 'gpt-5']);
    const deprecated = await api.call('GET', '/v1/catalog/models?deprecated=true&provider=openai');
    expect(deprecated.body).toMatchObject({
      data: [{ model_id: 'gpt-4', successor: 'gpt-5', meters: ['input_tokens'] }],
    });
    expectProblem(await api.call('GET', '/v1/catalog/models?cursor=eA'), 400, 'invalid_request');
  });

  it('takes a price source, shows what it would change, keeps it, publishes it once', async () => {
    const document = JSON.parse(readFileSync('test/fixtures/price-sources/litellm.json', 'utf8')) as unknown;
    const body = { source: 'litellm', document, effective_from: '2026-11-24T12:00:00Z' };
    const preview = await api.call('POST', '/v1/catalog/proposals/preview', { body });
    expect(preview.status).toBe(200);
    const made = await api.call('POST', '/v1/catalog/proposals', { body });
    expect(made.status).toBe(201);
    const { proposal_id, diff } = made.body as Proposal;
    expect(diff).toEqual(preview.body);
    expect((await api.call('POST', '/v1/catalog/proposals', { body })).status).toBe(200);
    expect((await api.call('GET', `/v1/catalog/proposals/${proposal_id}`)).body).toEqual(made.body);
    expect((await api.call('GET', '/v1/catalog/proposals?status=proposed&source=litellm')).body).toMatchObject({
      data: [{ proposal_id, counts: diff.counts }],
    });
    const published = await api.call('POST', `/v1/catalog/proposals/${proposal_id}/publish`);
    expect(published.body).toMatchObject({ status: 'published', decided_by: expect.stringMatching(/^key:/) });
    const again = await api.call('POST', `/v1/catalog/proposals/${proposal_id}/publish`);
    expect(expectProblem(again, 409, 'proposal_decided')).toMatchObject({ proposal_status: 'published' });
    const found = await api.call(
      'GET',
      '/v1/catalog/price?provider=openai&model_id=gpt-5&at=2026-11-24T12:00:00Z&version=2',
    );
    expect((found.body as { rows: object[] }).rows).toContainEqual(
      expect.objectContaining({ meter: 'output_tokens', price: '0.000008', per: 1 }),
    );
  });

  it('rejects a proposal with a reason, and refuses what is no document of a source', async () => {
    const document = { 'gpt-5': { litellm_provider: 'openai', input_cost_per_token: 1e-6 } };
    const made = await api.call('POST', '/v1/catalog/proposals', { body: { source: 'litellm', document } });
    const { proposal_id } = made.body as Proposal;
    const rejected = await api.call('POST', `/v1/catalog/proposals/${proposal_id}/reject`, { body: { reason: 'no' } });
    expect(rejected.body).toMatchObject({ status: 'rejected', reason: 'no', published_version: null });
    for (const [body, code] of [
      [{ source: 'openrouter', document }, 'invalid_price_document'],
      [{ source: 'elsewhere', document }, 'invalid_request'],
      [{ source: 'litellm' }, 'invalid_request'],
      [{ source: 'litellm', document: 'text' }, 'invalid_request'],
      [{ source: 'litellm', document, prompt: 'secret' }, 'invalid_request'],
    ] as const) {
      expectProblem(await api.call('POST', '/v1/catalog/proposals', { body }), 400, code);
    }
    expectProblem(await api.call('GET', '/v1/catalog/proposals/999999'), 404, 'not_found');
    expectProblem(await api.call('GET', '/v1/catalog/proposals', { key: api.keys.ops }), 403, 'forbidden');
  });

  it('lists aliases with their dates and author, page by page, superseded ones too', async () => {
    const alias = { provider: 'openai', alias: 'gpt-latest', model_id: 'gpt-4' };
    for (const [model_id, from] of [
      ['gpt-4', '2026-01-01T00:00:00.000Z'],
      ['gpt-5', '2026-06-01T00:00:00.000Z'],
    ]) {
      const body = { note: 'alias', aliases: [{ ...alias, model_id, effective_from: from, note: 'as announced' }] };
      expect((await api.call('POST', '/v1/catalog/versions', { body })).status).toBe(201);
    }
    const first = (await api.call('GET', '/v1/catalog/aliases?limit=1')).body as Page<{ version: number }>;
    expect(first.data).toMatchObject([
      {
        ...alias,
        effective_from: '2026-01-01T00:00:00.000Z',
        effective_to: null,
        note: 'as announced',
        published_by: expect.stringMatching(/^key:/),
      },
    ]);
    const rest = await api.call('GET', `/v1/catalog/aliases?provider=openai&limit=1&cursor=${first.next_cursor}`);
    expect(rest.body).toMatchObject({
      data: [{ model_id: 'gpt-5', version: first.data[0]!.version + 1 }],
      next_cursor: null,
    });
    expect((await api.call('GET', '/v1/catalog/aliases?provider=mistral')).body).toMatchObject({ data: [] });
    expectProblem(await api.call('GET', '/v1/catalog/aliases?cursor=AAAA'), 400, 'invalid_request');
  });
});
