import { CostplusError } from '../../errors/error.js';
import { WEBHOOK_BODY_BYTES } from '../../limits.js';
import type { HttpDeps } from '../deps.js';
import { webhookAnswerView } from '../health-views.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';

/** `POST /v1/stripe/webhook`: Stripe signs the body's bytes, so they are handed over as they came. */
export function stripeWebhookRoutes(server: HttpServer, deps: HttpDeps): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  server.post(
    '/v1/stripe/webhook',
    {
      bodyLimit: WEBHOOK_BODY_BYTES,
      config: { access: 'signature' },
      schema: {
        summary: 'Take a delivery of Stripe',
        description: 'Authenticated by the `stripe-signature` header. Deliveries may repeat and come in any order.',
        tags: ['stripe'],
        response: { 200: webhookAnswerView, ...problemResponses },
      },
    },
    async (request) => {
      const bytes: unknown = request.body;
      if (!Buffer.isBuffer(bytes)) throw new CostplusError('invalid_request', 'The body is empty.');
      const signature = request.headers['stripe-signature'];
      try {
        const outcome = await deps.receiveStripeWebhook(bytes, typeof signature === 'string' ? signature : undefined);
        deps.metrics.stripeWebhooks.inc({ outcome });
      } catch (error) {
        const refused = error instanceof CostplusError && error.code === 'invalid_signature';
        deps.metrics.stripeWebhooks.inc({ outcome: refused ? 'refused' : 'failed' });
        throw error;
      }
      return { received: true } as const;
    },
  );
}
