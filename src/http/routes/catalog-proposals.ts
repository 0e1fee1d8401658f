import { z } from 'zod';
import { listProposals, readProposal } from '../../catalog/proposal-store.js';
import { previewPrices, proposeImport, publishProposal, rejectProposal } from '../../catalog/proposals.js';
import { catalogVersionSchema } from '../../contracts/catalog.js';
import { instantSchema, modelSchema, noteSchema } from '../../contracts/ids.js';
import { PRICE_SOURCE_NAMES, PROPOSAL_STATUSES, SUSPICIONS } from '../../contracts/price-proposal.js';
import { CATALOG_BODY_BYTES } from '../../limits.js';
import { actorOf } from '../access.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { pageView } from '../view-values.js';

const tags = ['catalog'];
const count = z.number().int().nonnegative();
const countsView = z.strictObject({
  new: count,
  changed: count,
  removed: count,
  unchanged: count,
  suspicious: count,
  skipped: count,
});
const priceView = z.strictObject({
  price: z.string().nullable(),
  same_as: z.string().nullable(),
  per: z.number().int().positive(),
  currency: z.string(),
});
const modelView = { provider: z.string(), model_id: z.string() };
const diffView = z.strictObject({
  source: z.enum(PRICE_SOURCE_NAMES),
  catalog_version: count,
  effective_from: instantSchema,
  counts: countsView,
  entries: z.array(
    z.strictObject({
      kind: z.enum(['new', 'changed', 'removed']),
      ...modelView,
      meter: z.string(),
      context_over: count.nullable(),
      daily_window: z.strictObject({ from: z.string(), to: z.string() }).nullable(),
      service_tier: z.string().nullable(),
      old: priceView.nullable(),
      new: priceView.nullable(),
      factor: z.string().nullable(),
      suspicions: z.array(z.strictObject({ reason: z.enum(SUSPICIONS), detail: z.string() })),
    }),
  ),
  deprecated: z.array(z.strictObject(modelView)),
  skipped: z.array(z.strictObject({ ...modelView, key: z.string(), reason: z.string() })),
});
const summaryView = z.strictObject({
  proposal_id: z.number().int().positive(),
  source: z.enum(PRICE_SOURCE_NAMES),
  status: z.enum(PROPOSAL_STATUSES),
  created_at: instantSchema,
  created_by: z.string(),
  document_hash: z.string(),
  catalog_version: count,
  effective_from: instantSchema,
  counts: countsView,
  published_version: z.number().int().positive().nullable(),
  decided_by: z.string().nullable(),
  decided_at: instantSchema.nullable(),
  reason: z.string().nullable(),
});
const proposalView = summaryView.extend({ diff: diffView, body: catalogVersionSchema });

/** The document is the source's own: only the prices that an importer knows are taken from it. */
const importSchema = z.strictObject({
  source: z.enum(PRICE_SOURCE_NAMES),
  document: z.unknown().refine((value) => typeof value === 'object' && value !== null, 'must be a JSON document'),
  /** Now, where it is left out. */
  effective_from: instantSchema.optional(),
  /** The providers that the catalog has, where it is left out. */
  providers: z.array(modelSchema).min(1).max(200).optional(),
  withdraw_removed: z.boolean().default(false),
});
const params = z.strictObject({ proposal_id: z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER) });

/** Price proposals: what a price source would change, to be published or rejected. */
export function catalogProposalRoutes(server: HttpServer, deps: HttpDeps): void {
  const requestOf = ({ effective_from, providers, ...body }: z.infer<typeof importSchema>) => ({
    ...body,
    effective_from: effective_from ?? new Date(deps.now()).toISOString(),
    providers: providers ?? null,
  });

  server.post(
    '/v1/catalog/proposals',
    {
      bodyLimit: CATALOG_BODY_BYTES,
      config: { access: 'finance' },
      schema: {
        summary: 'Propose the prices of a source; the same again answers the same proposal',
        tags,
        body: importSchema,
        response: { 200: proposalView, 201: proposalView, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { proposal, created } = await proposeImport(deps, requestOf(request.body), actorOf(request));
      return reply.code(created ? 201 : 200).send(proposal);
    },
  );

  server.post(
    '/v1/catalog/proposals/preview',
    {
      bodyLimit: CATALOG_BODY_BYTES,
      config: { access: 'finance' },
      schema: {
        summary: 'What the prices of a source would change; nothing is kept',
        tags,
        body: importSchema,
        response: { 200: diffView, ...problemResponses },
      },
    },
    (request) => previewPrices(deps, requestOf(request.body)),
  );

  server.get(
    '/v1/catalog/proposals',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'List price proposals, the newest first',
        tags,
        querystring: z.strictObject({
          source: z.enum(PRICE_SOURCE_NAMES).optional(),
          status: z.enum(PROPOSAL_STATUSES).optional(),
          ...pageQuery,
        }),
        response: { 200: pageView(summaryView), ...problemResponses },
      },
    },
    (request) => {
      const { source, status } = request.query;
      return listProposals(deps.pool, {
        source: source ?? null,
        status: status ?? null,
        page: pageOf(request.query),
      });
    },
  );

  server.get(
    '/v1/catalog/proposals/:proposal_id',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'A price proposal with its diff',
        tags,
        params,
        response: { 200: proposalView, ...problemResponses },
      },
    },
    (request) => readProposal(deps.pool, request.params.proposal_id),
  );

  server.post(
    '/v1/catalog/proposals/:proposal_id/publish',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Publish a price proposal as the next catalog version',
        tags,
        params,
        // Suspicious prices are left out where it says so.
        body: z.strictObject({ without_suspicious: z.boolean().default(false) }).nullish(),
        response: { 200: proposalView, ...problemResponses },
      },
    },
    (request) =>
      publishProposal(deps, request.params.proposal_id, actorOf(request), {
        without_suspicious: request.body?.without_suspicious ?? false,
      }),
  );

  server.post(
    '/v1/catalog/proposals/:proposal_id/reject',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Reject a price proposal',
        tags,
        params,
        body: z.strictObject({ reason: noteSchema.optional() }).nullish(),
        response: { 200: proposalView, ...problemResponses },
      },
    },
    (request) => rejectProposal(deps.pool, request.params.proposal_id, actorOf(request), request.body?.reason ?? null),
  );
}
