import { z } from 'zod';
import { customerSchema } from '../../contracts/customer.js';
import { idSchema } from '../../contracts/ids.js';
import { listCustomers, putCustomer, readCustomer } from '../../customers/customer-store.js';
import { placeWaitingUsage } from '../../ledger/place-usage.js';
import { BACKDATED_PERIODS_COUNT } from '../../limits.js';
import { actorOf } from '../access.js';
import { customerView } from '../customer-view.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { validatorFor } from '../validation.js';
import { pageView } from '../view-values.js';

const params = z.strictObject({ customer_id: idSchema });
const tags = ['customers'];

/** Customers: how they are billed, from when, by which plan. */
export function customerRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/customers',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'List customers',
        tags,
        querystring: z.strictObject(pageQuery),
        response: { 200: pageView(customerView), ...problemResponses },
      },
    },
    (request) => listCustomers(deps.pool, pageOf(request.query)),
  );

  server.get(
    '/v1/customers/:customer_id',
    {
      config: { access: 'finance' },
      schema: { summary: 'Read a customer', tags, params, response: { 200: customerView, ...problemResponses } },
    },
    (request) => readCustomer(deps.pool, request.params.customer_id),
  );

  server.put(
    '/v1/customers/:customer_id',
    {
      config: { access: 'finance' },
      validatorCompiler: validatorFor('invalid_customer'),
      schema: {
        summary: 'Make or change a customer',
        description:
          'Keys that the body leaves out stay as they are; null, or an empty list of budgets, takes the default again, which ' +
          'is what a new customer has. Where the body names a `starts_at` that has passed, the billing periods since then ' +
          `are opened, at most ${BACKDATED_PERIODS_COUNT}.`,
        tags,
        params,
        body: customerSchema,
        response: { 200: customerView, 201: customerView, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { customer, created } = await putCustomer(
        deps.pool,
        request.params.customer_id,
        request.body,
        actorOf(request),
        deps.now(),
      );
      // Usage that came before the customer did is billable from here on; the relay's sweep would find it too.
      await placeWaitingUsage(deps.pool, customer.customer_id);
      return reply.code(created ? 201 : 200).send(customer);
    },
  );
}
