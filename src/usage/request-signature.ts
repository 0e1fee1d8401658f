import { createHmac, timingSafeEqual } from 'node:crypto';
import { CostplusError } from '../errors/error.js';
import { SIGNATURE_TOLERANCE_SECONDS } from '../limits.js';

/**
 * Standard Webhooks (https://www.standardwebhooks.com, symmetric `v1` signatures): HMAC-SHA256 over
 * `id.timestamp.body`. The project's own package takes one secret and the system's clock only; rotation needs several,
 * so the scheme stands here and the package proves it in the tests.
 */
export interface SignatureHeaders {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
/** Printable ASCII; the id is part of what is signed. */
const MESSAGE_ID = /^[\x21-\x7e]{1,256}$/;
const TIMESTAMP = /^\d{1,12}$/;
/** Signatures that one header may carry: one for each secret of a rotation, and room. */
const SIGNATURES_COUNT = 16;

/** The raw key of a secret written `whsec_<base64>`. Throws a RangeError that does not show it for anything else. */
export function signingKey(secret: string): Buffer {
  const match = SECRET.exec(secret);
  const key = match === null ? null : Buffer.from(match[1]!, 'base64');
  if (key === null || key.length === 0) throw new RangeError('a signing secret is written whsec_<base64>');
  return key;
}

function signatureOf(key: Buffer, id: string, timestamp: string, body: string | Buffer): Buffer {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`, 'utf8').update(body).digest();
}

/** The three headers of a signed request. `timestamp` is in whole seconds; `body` is signed byte by byte as it is sent. */
export function signRequest(request: {
  secret: string;
  id: string;
  timestamp: number;
  body: string | Buffer;
}): SignatureHeaders {
  const { id, timestamp, body } = request;
  const signature = signatureOf(signingKey(request.secret), id, String(timestamp), body).toString('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` };
}

function refuse(detail: string, field: string): never {
  throw new CostplusError('invalid_signature', detail, { field });
}

function header(headers: Readonly<Record<string, string | string[] | undefined>>, name: string): string {
  const value = headers[name];
  if (typeof value !== 'string' || value === '') refuse(`the header ${name} is missing`, name);
  return value;
}

/**
 * Returns when one of the `v1` signatures of the request was made with one of the secrets, no longer than
 * SIGNATURE_TOLERANCE_SECONDS ago or ahead; throws `invalid_signature` otherwise. `headers` have lower-case names, as
 * Node gives them; `body` is the body as it was received; `now` is in milliseconds.
 * A request that is sent again within the tolerance passes again: events are deduplicated by their ids.
 */
export function verifyRequest(request: {
  secrets: readonly string[];
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Buffer;
  now?: number;
}): void {
  const id = header(request.headers, 'webhook-id');
  const timestamp = header(request.headers, 'webhook-timestamp');
  const signatures = header(request.headers, 'webhook-signature').split(' ');
  if (!MESSAGE_ID.test(id)) refuse('webhook-id must be 1 to 256 printable characters', 'webhook-id');
  if (!TIMESTAMP.test(timestamp)) refuse('webhook-timestamp must be whole seconds since 1970', 'webhook-timestamp');
  const skewSeconds = Math.floor((request.now ?? Date.now()) / 1000) - Number(timestamp);
  if (Math.abs(skewSeconds) > SIGNATURE_TOLERANCE_SECONDS) {
    refuse(`webhook-timestamp is more than ${SIGNATURE_TOLERANCE_SECONDS} s from now`, 'webhook-timestamp');
  }
  if (signatures.length > SIGNATURES_COUNT) refuse('webhook-signature has too many signatures', 'webhook-signature');

  const given = signatures
    .filter((signature) => signature.startsWith('v1,'))
    .map((signature) => Buffer.from(signature.slice('v1,'.length), 'base64'));
  let matches = false;
  for (const secret of request.secrets) {
    const expected = signatureOf(signingKey(secret), id, timestamp, request.body);
    for (const candidate of given) {
      if (candidate.length === expected.length && timingSafeEqual(candidate, expected)) matches = true;
    }
  }
  if (!matches) refuse('no signature of the request fits a secret of its source', 'webhook-signature');
}
