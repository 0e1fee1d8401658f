import { join } from 'node:path';
import { startStripeStandIn } from './stripe-stand-in.js';

/**
 * The stand-in as a process. Reads STAND_IN_PORT, STAND_IN_DIRECTORY, STAND_IN_WEBHOOK_URL, STAND_IN_WEBHOOK_SECRET;
 * prints one JSON line when it is ready, stops on SIGTERM and SIGINT, the state stays.
 */
const environment = process.env;
const optional = (name: string) => {
  const value = environment[name];
  return value === undefined || value === '' ? undefined : value;
};
const webhookUrl = optional('STAND_IN_WEBHOOK_URL');
const webhookSecret = optional('STAND_IN_WEBHOOK_SECRET');
const standIn = await startStripeStandIn({
  directory: optional('STAND_IN_DIRECTORY') ?? join(process.cwd(), '.stripe-stand-in'),
  port: Number(optional('STAND_IN_PORT') ?? 0),
  ...(webhookUrl === undefined ? {} : { webhookUrl }),
  ...(webhookSecret === undefined ? {} : { webhookSecret }),
});
process.stdout.write(
  `${JSON.stringify({ url: standIn.url, secret_key: standIn.secretKey, webhook_secret: standIn.webhookSecret })}\n`,
);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void standIn.close().then(() => process.exit(0));
  });
}
