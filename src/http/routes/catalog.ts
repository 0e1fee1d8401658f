import { z } from 'zod';
import { listCatalogVersions } from '../../catalog/catalog-store.js';
import { listModels } from '../../catalog/list-models.js';
import { publishCatalogVersion } from '../../catalog/publish.js';
import { catalogVersionSchema } from '../../contracts/catalog.js';
import { instantSchema, modelSchema } from '../../contracts/ids.js';
import { CostplusError } from '../../errors/error.js';
import { CATALOG_BODY_BYTES } from '../../limits.js';
import { actorOf } from '../access.js';
import { catalogModelView, catalogVersionView, pricesView } from '../catalog-views.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { validatorFor } from '../validation.js';
import { pageView } from '../view-values.js';

const tags = ['catalog'];

/** The catalog: what providers charge, in immutable numbered versions. */
export function catalogRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/catalog/versions',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'List catalog versions, the newest first',
        tags,
        querystring: z.strictObject(pageQuery),
        response: { 200: pageView(catalogVersionView), ...problemResponses },
      },
    },
    (request) => listCatalogVersions(deps.pool, pageOf(request.query)),
  );

  server.post(
    '/v1/catalog/versions',
    {
      bodyLimit: CATALOG_BODY_BYTES,
      config: { access: 'finance' },
      validatorCompiler: validatorFor('invalid_catalog'),
      schema: {
        summary: 'Publish a catalog version',
        tags,
        body: catalogVersionSchema,
        response: { 201: catalogVersionView, ...problemResponses },
      },
    },
    async (request, reply) => {
      const by = { actor: actorOf(request), source: 'api' };
      return reply.code(201).send(await publishCatalogVersion(deps.pool, request.body, by));
    },
  );

  server.get(
    '/v1/catalog/price',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'The prices in force at an instant',
        tags,
        querystring: z.strictObject({
          provider: modelSchema.optional(),
          model_id: modelSchema,
          at: instantSchema.optional(),
          version: z.coerce.number().int().positive().optional(),
        }),
        response: { 200: pricesView, ...problemResponses },
      },
    },
    async (request) => {
      const { provider, model_id, at, version } = request.query;
      const atMs = at === undefined ? deps.now() : Date.parse(at);
      const catalog = version === undefined ? await deps.catalogs.current() : await deps.catalogs.at(version);
      const resolved = catalog.resolveModel({ provider: provider ?? null, provider_hint: null, model_id }, atMs);
      if ('held' in resolved) {
        throw new CostplusError('unknown_price', 'Usage of this model would be held.', {
          extra: { held_reason: resolved.held },
        });
      }
      const rows = catalog.priceRowsInForce(resolved.provider, resolved.priced_as, atMs);
      if (rows.length === 0) {
        throw new CostplusError('unknown_price', 'The catalog knows the model and has no price of it at that time.');
      }
      const entry = catalog.modelEntry(resolved.provider, resolved.priced_as);
      return {
        catalog_version: catalog.version,
        provider: resolved.provider,
        model_id,
        priced_as: resolved.priced_as,
        how: resolved.how,
        at: new Date(atMs).toISOString(),
        name: entry?.name ?? null,
        deprecated: entry?.deprecated ?? false,
        successor: entry?.successor ?? null,
        rows,
        multipliers: [...catalog.multipliersInForce(resolved.provider, resolved.priced_as, atMs)],
      };
    },
  );

  server.get(
    '/v1/catalog/models',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'The models of the newest catalog version, with the meters priced now',
        tags,
        querystring: z.strictObject({
          provider: modelSchema.optional(),
          deprecated: z.enum(['true', 'false']).optional(),
          ...pageQuery,
        }),
        response: { 200: pageView(catalogModelView), ...problemResponses },
      },
    },
    async (request) => {
      const { provider, deprecated } = request.query;
      return listModels(await deps.catalogs.current(), {
        atMs: deps.now(),
        provider: provider ?? null,
        deprecated: deprecated === undefined ? null : deprecated === 'true',
        page: pageOf(request.query),
      });
    },
  );
}
