import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../contracts/canonical-json.js';
import type { ReceivedUsageEvent } from '../contracts/usage-event.js';

/** RFC 8785 form of an event without its signature: what is signed, hashed and stored as the payload. */
export function unsignedForm(event: Readonly<Partial<ReceivedUsageEvent>>): string {
  if (event.signature === undefined) return canonicalJson(event);
  const { signature: _signature, ...unsigned } = event;
  return canonicalJson(unsigned);
}

function signatureOf(form: string, secret: Buffer): Buffer {
  return createHmac('sha256', secret).update(form, 'utf8').digest();
}

/** The signature of an event: `v1,` and the base64 HMAC-SHA256 of its unsigned form. `secret` is the raw key. */
export function signEvent(event: Readonly<Partial<ReceivedUsageEvent>>, secret: Buffer): string {
  return `v1,${signatureOf(unsignedForm(event), secret).toString('base64')}`;
}

/**
 * Whether the event carries a signature that one of the secrets made (several while a secret is rotated). False for an
 * event without signature. Every secret is tried, in time that does not depend on what the signature says.
 */
export function verifyEventSignature(received: ReceivedUsageEvent, secrets: readonly Buffer[]): boolean {
  if (received.signature === undefined) return false;
  const given = Buffer.from(received.signature.slice('v1,'.length), 'base64');
  const form = unsignedForm(received);
  let matches = false;
  for (const secret of secrets) {
    const expected = signatureOf(form, secret);
    if (given.length === expected.length && timingSafeEqual(given, expected)) matches = true;
  }
  return matches;
}
