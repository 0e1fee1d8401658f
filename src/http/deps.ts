import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { Pool } from '../database/pool.js';
import type { Engine } from '../engine/engine.js';
import type { DetailsLinks } from '../invoicing/details-link.js';
import type { Appender } from '../ledger/append.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { WebhookOutcome } from '../stripe/webhooks.js';

/** Everything that the routes need, made once by whoever starts the server (src/http/main.ts, tests). */
export interface HttpDeps {
  pool: Pool;
  appender: Appender;
  catalogs: CatalogCache;
  /** Drives the billing periods' workflows. */
  engine: Pick<Engine, 'command' | 'healthy'>;
  /** Takes one delivery of Stripe: the body's bytes and the `stripe-signature` header. Throws `invalid_signature`. */
  receiveStripeWebhook: (body: Buffer, signature: string | undefined) => Promise<WebhookOutcome>;
  /** Opens the signing secrets of sources: the 32 bytes of COSTPLUS_ENCRYPTION_KEY. */
  encryptionKey: Buffer;
  /** Makes and opens the links to the detail files of customers. */
  detailsLinks: DetailsLinks;
  /** How far reported costs may be from the catalog's, as a share of it. */
  reportedCostTolerance: string;
  logger: Logger;
  metrics: Metrics;
  /** Now, in ms since the epoch: whether a signature is stale, which prices are in force, when a plan takes effect. */
  now: () => number;
}
