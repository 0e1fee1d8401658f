import { z } from 'zod';
import { type ListedAlias, listAliases } from '../../catalog/list-aliases.js';
import { instantSchema, modelSchema } from '../../contracts/ids.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { pageView } from '../view-values.js';

const aliasView: z.ZodType<ListedAlias> = z.strictObject({
  provider: z.string(),
  alias: z.string(),
  model_id: z.string(),
  effective_from: instantSchema,
  effective_to: instantSchema.nullable(),
  note: z.string().nullable(),
  version: z.number().int().positive(),
  published_by: z.string(),
  published_at: instantSchema,
});

/** `GET /v1/catalog/aliases`: which names mean which models, since when, and by whom. */
export function catalogAliasRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/catalog/aliases',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'List alias rows of all catalog versions, with their dates and who published them',
        tags: ['catalog'],
        querystring: z.strictObject({ provider: modelSchema.optional(), ...pageQuery }),
        response: { 200: pageView(aliasView), ...problemResponses },
      },
    },
    (request) => listAliases(deps.pool, request.query.provider ?? null, pageOf(request.query)),
  );
}
