import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CostplusError } from '../errors/error.js';
import { newApiKey } from '../http/api-keys.js';
import { readJson, writePrivateJson } from './private-json.js';

const secretsSchema = z.object({
  keys: z.object({ service: z.string(), ops: z.string(), finance: z.string() }),
  /** The usage source to which the service key belongs, and the secret with which it signs. */
  signing: z.object({ source: z.string(), secret: z.string() }),
  /** 32 bytes in base64 (COSTPLUS_ENCRYPTION_KEY). */
  encryption_key: z.string(),
  /** With which the Stripe stand-in signs its webhooks. */
  webhook_secret: z.string(),
  postgres_password: z.string(),
});
/** What a home keeps secret, made at its first start. */
export type Secrets = z.infer<typeof secretsSchema>;

const DEMO_SOURCE = 'demo';
const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

/**
 * The secrets of a home, made when it has none. Throws `configuration` for a file that cannot be read: new secrets
 * would not open what the old ones have sealed.
 */
export async function ensureSecrets(home: string): Promise<Secrets> {
  const path = join(home, 'secrets.json');
  if (await stat(path).catch(() => null)) {
    const kept = secretsSchema.safeParse(await readJson(path));
    if (kept.success) return kept.data;
    throw new CostplusError(
      'configuration',
      `${path} cannot be read. Restore it, or start with an empty COSTPLUS_HOME.`,
    );
  }
  const secrets: Secrets = {
    keys: { service: newApiKey('service'), ops: newApiKey('ops'), finance: newApiKey('finance') },
    signing: { source: DEMO_SOURCE, secret: newSecret() },
    encryption_key: randomBytes(32).toString('base64'),
    webhook_secret: newSecret(),
    postgres_password: randomBytes(24).toString('hex'),
  };
  await writePrivateJson(path, secrets);
  return secrets;
}
