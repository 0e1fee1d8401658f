import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { HttpServer } from '../server.js';

/** `/openapi.json` and `/docs`: the API described by the schemas that its routes are checked with. */
export function docsRoutes(server: HttpServer): void {
  void server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'costplus',
        version: '1',
        description: 'AI usage in, invoices out. Amounts and prices are decimal strings; times are RFC 3339.',
      },
      components: { securitySchemes: { api_key: { type: 'http', scheme: 'bearer' } } },
      security: [{ api_key: [] }],
    },
    transform: jsonSchemaTransform,
  });
  void server.register(async (scope) => {
    // The pages of the documentation have no schemas of ours and are open to anyone.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'public' };
    });
    await scope.register(swaggerUi, { routePrefix: '/docs' });
    scope.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  });
}
