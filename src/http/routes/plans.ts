import { z } from 'zod';
import { idSchema } from '../../contracts/ids.js';
import { planSchema } from '../../contracts/plan.js';
import { planJsonSchema } from '../../plans/plan-schema.js';
import { listPlans, publishPlan, readPlan } from '../../plans/plan-store.js';
import { actorOf } from '../access.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { planView } from '../plan-view.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { validatorFor } from '../validation.js';
import { pageView } from '../view-values.js';

const planParams = z.strictObject({ plan_id: idSchema });
const versionParams = z.strictObject({ plan_id: idSchema, version: z.coerce.number().int().positive() });
const tags = ['plans'];

/** Plans: immutable numbered versions of how a customer is charged. */
export function planRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/plans',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'List the newest version of each plan',
        tags,
        querystring: z.strictObject(pageQuery),
        response: { 200: pageView(planView), ...problemResponses },
      },
    },
    (request) => listPlans(deps.pool, pageOf(request.query)),
  );

  server.post(
    '/v1/plans',
    {
      config: { access: 'finance' },
      validatorCompiler: validatorFor('invalid_plan'),
      schema: {
        summary: 'Publish a plan version',
        tags,
        body: planSchema,
        response: { 201: planView, ...problemResponses },
      },
    },
    async (request, reply) => reply.code(201).send(await publishPlan(deps.pool, request.body, actorOf(request))),
  );

  server.get(
    '/v1/plans/schema',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'The JSON schema of plans (draft 2020-12)',
        description: 'What publishing checks beyond it (unreachable rules, tiers that do not ascend) it cannot say.',
        tags,
        response: { 200: z.record(z.string(), z.unknown()), ...problemResponses },
      },
    },
    () => planJsonSchema(),
  );

  server.get(
    '/v1/plans/:plan_id',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Read the newest version of a plan',
        tags,
        params: planParams,
        response: { 200: planView, ...problemResponses },
      },
    },
    (request) => readPlan(deps.pool, request.params.plan_id),
  );

  server.get(
    '/v1/plans/:plan_id/versions/:version',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Read one version of a plan',
        tags,
        params: versionParams,
        response: { 200: planView, ...problemResponses },
      },
    },
    (request) => readPlan(deps.pool, request.params.plan_id, request.params.version),
  );
}
