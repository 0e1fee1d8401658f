import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { CostplusError } from '../errors/error.js';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** First byte of a sealed secret: the way it was sealed, so that another way can be told apart later. */
const FORM = 1;

/**
 * Seals a text with AES-256-GCM: one form byte, 12 of nonce, 16 of tag, the cipher text. `boundTo` (the source's id) is
 * authenticated with it, so that a sealed secret cannot be moved to another row.
 */
export function sealSecret(encryptionKey: Buffer, boundTo: string, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, encryptionKey, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(boundTo, 'utf8'));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(FORM), nonce, cipher.getAuthTag(), sealed]);
}

/** Opens what `sealSecret` sealed. Throws `configuration` where the key or `boundTo` is another one. */
export function openSecret(encryptionKey: Buffer, boundTo: string, sealed: Buffer): string {
  try {
    if (sealed[0] !== FORM) throw new Error('sealed in a form that this code does not know');
    const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
    const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, encryptionKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(boundTo, 'utf8'));
    decipher.setAuthTag(tag);
    const opened = decipher.update(sealed.subarray(1 + NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([opened, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new CostplusError(
      'configuration',
      'A signing secret does not open: COSTPLUS_ENCRYPTION_KEY is not the key that sealed it.',
      { cause },
    );
  }
}
