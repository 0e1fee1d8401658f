import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { currentCatalogVersion } from '../../src/catalog/catalog-store.js';
import { fetchDocument } from '../../src/catalog/fetch-document.js';
import { importSource, type PricePolicy } from '../../src/catalog/import-source.js';
import { listProposals } from '../../src/catalog/proposal-store.js';
import {
  type ProposalDeps,
  type ProposalRequest,
  previewPrices,
  proposeImport,
  publishProposal,
  rejectProposal,
} from '../../src/catalog/proposals.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { PRICE_DOCUMENT_BYTES } from '../../src/limits.js';
import { cloneDatabase } from '../support/database.js';

const NOON = '2026-11-24T12:00:00.000Z';

/** A document in LiteLLM's form with one model at these dollars a million tokens. */
const document = (input: number, output = 15) => ({
  m: { litellm_provider: 'p', input_cost_per_token: input / 1e6, output_cost_per_token: output / 1e6 },
});
const request = (input: number, more: Partial<ProposalRequest> = {}): ProposalRequest => ({
  source: 'litellm',
  document: document(input),
  effective_from: NOON,
  providers: null,
  withdraw_removed: false,
  ...more,
});

describe('price proposals', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let deps: ProposalDeps;
  const publish = (meter: string, price: string) =>
    publishCatalogVersion(
      database.pool,
      catalogVersionSchema.parse({
        note: 'by hand',
        prices: [
          {
            provider: 'p',
            model_id: 'm',
            meter,
            price,
            per: 1_000_000,
            effective_from: '2026-01-01T00:00:00Z',
            supersede: true,
          },
        ],
      }),
      { actor: 'finance', source: 'api' },
    );
  beforeEach(async () => {
    database = await cloneDatabase();
    deps = { pool: database.pool, catalogs: new CatalogCache(database.pool) };
    await publish('input_tokens', '3');
    await publish('output_tokens', '15');
  });
  afterEach(() => database.drop());

  it('are kept with their diff and published as the next version, by whom the version says', async () => {
    const preview = await previewPrices(deps, request(4));
    const { proposal, created } = await proposeImport(deps, request(4), 'ann');
    expect(created).toBe(true);
    expect(proposal).toMatchObject({ status: 'proposed', created_by: 'ann', diff: preview });
    expect(proposal.counts).toMatchObject({ changed: 1, unchanged: 1, suspicious: 0 });
    const before = await currentCatalogVersion(database.pool);
    const published = await publishProposal(deps, proposal.proposal_id, 'bob');
    expect(published).toMatchObject({ status: 'published', published_version: before + 1, decided_by: 'bob' });
    const catalog = await deps.catalogs.at(before + 1);
    expect(catalog.priceRowsInForce('p', 'm', Date.parse(NOON))[0]).toMatchObject({ price: '0.000004', per: 1 });
    const { rows } = await database.pool.query('SELECT source, published_by FROM catalog_versions WHERE version = $1', [
      before + 1,
    ]);
    expect(rows).toEqual([{ source: 'litellm', published_by: 'bob' }]);
  });

  it('are decided once', async () => {
    const { proposal } = await proposeImport(deps, request(4), 'ann');
    const rejected = await rejectProposal(database.pool, proposal.proposal_id, 'bob', 'a typing error');
    expect(rejected).toMatchObject({ status: 'rejected', decided_by: 'bob', reason: 'a typing error' });
    await expect(publishProposal(deps, proposal.proposal_id, 'x')).rejects.toMatchObject({ code: 'proposal_decided' });
    await expect(rejectProposal(database.pool, proposal.proposal_id, 'x', null)).rejects.toMatchObject({
      code: 'proposal_decided',
    });
    await expect(
      database.pool.query(`UPDATE catalog_proposals SET status = 'proposed', decided_at = NULL`),
    ).rejects.toThrow(/decided once/);
    await expect(publishProposal(deps, 999_999, 'x')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are published once when two people press the button at the same time', async () => {
    const { proposal } = await proposeImport(deps, request(4), 'ann');
    const before = await currentCatalogVersion(database.pool);
    const both = await Promise.allSettled(['a', 'b'].map((by) => publishProposal(deps, proposal.proposal_id, by)));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await currentCatalogVersion(database.pool)).toBe(before + 1);
  });

  it('supersede the open one of their source, and answer the same for the same', async () => {
    const first = await proposeImport(deps, request(4), 'ann');
    expect(await proposeImport(deps, request(4), 'ann')).toEqual({ proposal: first.proposal, created: false });
    const second = await proposeImport(deps, request(5), 'ann');
    const list = await listProposals(database.pool, {
      source: 'litellm',
      status: null,
      page: { cursor: null, limit: 1 },
    });
    expect(list.data).toMatchObject([{ proposal_id: second.proposal.proposal_id, status: 'proposed' }]);
    const rest = await listProposals(database.pool, {
      source: null,
      status: 'superseded',
      page: { cursor: list.next_cursor, limit: 5 },
    });
    expect(rest.data).toMatchObject([{ proposal_id: first.proposal.proposal_id, decided_by: 'ann' }]);
    expect(rest.next_cursor).toBeNull();
  });

  it('are published without what looks wrong where a person says so', async () => {
    const mixed = request(4, { document: document(4, 15_000) });
    const { proposal } = await proposeImport(deps, mixed, 'ann');
    expect(proposal.counts).toMatchObject({ changed: 2, suspicious: 1 });
    const { published_version } = await publishProposal(deps, proposal.proposal_id, 'bob', {
      without_suspicious: true,
    });
    const catalog = await deps.catalogs.at(published_version!);
    const prices = catalog.priceRowsInForce('p', 'm', Date.parse(NOON)).map(({ meter, price }) => [meter, price]);
    expect(prices).toEqual([
      ['input_tokens', '0.000004'],
      ['output_tokens', '15'],
    ]);
    const wrong = await proposeImport(deps, request(4_000), 'ann');
    await expect(
      publishProposal(deps, wrong.proposal.proposal_id, 'bob', { without_suspicious: true }),
    ).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('that change nothing are superseded at once', async () => {
    const { proposal } = await proposeImport(deps, request(3), 'ann');
    expect(proposal).toMatchObject({ status: 'superseded', reason: 'the catalog says the same' });
  });

  it('made on an older version are published if they would replace the same by the same, else refused', async () => {
    const { proposal } = await proposeImport(deps, request(4), 'ann');
    await publish('web_searches', '10000');
    const published = await publishProposal(deps, proposal.proposal_id, 'bob');
    expect(published).toMatchObject({ status: 'published' });
    const stale = await proposeImport(deps, request(6), 'ann');
    await publishCatalogVersion(
      database.pool,
      catalogVersionSchema.parse({
        note: 'by hand',
        prices: [
          { provider: 'p', model_id: 'm', meter: 'input_tokens', price: '5', per: 1_000_000, effective_from: NOON },
        ],
      }),
      { actor: 'finance', source: 'api' },
    );
    const version = await currentCatalogVersion(database.pool);
    await expect(publishProposal(deps, stale.proposal.proposal_id, 'bob')).rejects.toMatchObject({
      code: 'stale_proposal',
    });
    expect(await currentCatalogVersion(database.pool)).toBe(version);
  });

  it('hear what other sources say', async () => {
    const other = { p: { id: 'p', models: { m: { id: 'm', cost: { input: 5, output: 15 } } } } };
    await proposeImport(deps, request(3, { source: 'models.dev', document: other }), 'ann');
    const { proposal } = await proposeImport(deps, request(4), 'ann');
    expect(proposal.diff.entries[0]?.suspicions).toMatchObject([{ reason: 'sources_disagree' }]);
  });

  it('know which prices came from their source before', async () => {
    const first = await proposeImport(deps, request(4), 'ann');
    await publishProposal(deps, first.proposal.proposal_id, 'bob');
    const empty = { q: { litellm_provider: 'p', input_cost_per_token: 1e-6 } };
    const { proposal } = await proposeImport(deps, request(0, { document: empty, withdraw_removed: true }), 'ann');
    expect(proposal.diff.entries).toMatchObject([
      { kind: 'removed', meter: 'input_tokens' },
      { kind: 'new', model_id: 'q' },
    ]);
    expect(proposal.body.prices).toMatchObject([{ model_id: 'q' }, { model_id: 'm', price: null }]);
  });

  describe('of a configured source', () => {
    let folder: string;
    let file: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'costplus-prices-'));
      file = join(folder, 'prices.json');
    });
    afterAll(() => rm(folder, { recursive: true }));
    const run = (policy: PricePolicy) =>
      importSource({ ...deps, policy, sources: [{ source: 'litellm', from: file, providers: null }] }, 'litellm', NOON);

    it('wait for a person, and the same document again does nothing', async () => {
      await writeFile(file, JSON.stringify(document(4)));
      const first = await run('propose');
      expect(first).toMatchObject({ status: 'proposed', counts: { changed: 1 }, published_version: null });
      expect(await run('propose')).toMatchObject({ status: 'unchanged', proposal_id: null });
      await rejectProposal(database.pool, first.proposal_id!, 'ann', null);
      expect(await run('propose')).toMatchObject({ status: 'unchanged' });
    });

    it('are published by the policy where nothing looks wrong, and where an attempt died in between', async () => {
      await writeFile(file, JSON.stringify(document(4.5)));
      expect(await run('propose')).toMatchObject({ status: 'proposed' });
      const version = await currentCatalogVersion(database.pool);
      expect(await run('publish_unsuspicious')).toMatchObject({ status: 'published', published_version: version + 1 });
      expect(await run('publish_unsuspicious')).toMatchObject({ status: 'unchanged' });
      expect(await currentCatalogVersion(database.pool)).toBe(version + 1);
    });

    it('wait for a person in spite of the policy where something looks wrong', async () => {
      await writeFile(file, JSON.stringify(document(45)));
      expect(await run('publish_unsuspicious')).toMatchObject({ status: 'proposed', counts: { suspicious: 1 } });
    });
  });
});

describe('the document of a price source', () => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((incoming, answer) => {
      if (incoming.url === '/prices') answer.end('{"m":{}}');
      else if (incoming.url === '/text') answer.end('prices');
      else if (incoming.url === '/endless') {
        const send = () => {
          while (!answer.destroyed && answer.write(Buffer.alloc(1024 * 1024, 32)));
        };
        answer.on('drain', send);
        send();
      } else answer.writeHead(500).end('no prices here');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it('is read from a URL', async () => {
    expect(await fetchDocument(`${url}/prices`)).toEqual({ m: {} });
  });

  it.each([
    ['/text', 'invalid_price_document'],
    ['/missing', 'price_source_unavailable'],
    ['/endless', 'price_source_unavailable'],
  ])('that is none, is not there or does not end is refused: %s', async (path, code) => {
    await expect(fetchDocument(url + path)).rejects.toMatchObject({ code });
  });

  it('is refused when nobody answers, when the file is not there or too large, without the address', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'costplus-prices-'));
    const large = join(folder, 'large.json');
    await writeFile(large, '');
    await truncate(large, PRICE_DOCUMENT_BYTES + 1);
    for (const from of ['http://127.0.0.1:1/?token=secret', join(folder, 'secret.json'), large]) {
      const refused = fetchDocument(from);
      await expect(refused).rejects.toMatchObject({ code: 'price_source_unavailable' });
      await expect(refused).rejects.toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('secret') }),
      );
    }
    await rm(folder, { recursive: true });
  });
});
