import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyRequest } from 'fastify';
import { CostplusError } from '../errors/error.js';

const unpack = promisify(gunzip);

/** The body's bytes as they came, in a scope whose parsers hand over buffers. Throws `invalid_request` for none. */
export function receivedBytes(request: FastifyRequest): Buffer {
  const bytes: unknown = request.body;
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) throw new CostplusError('invalid_request', 'The body is empty.');
  return bytes;
}

/**
 * The body that `bytes` hold: unpacked where the request says `content-encoding: gzip`. Unpacking stops at `limitBytes`,
 * however small the packed body is. Throws `body_too_large`, `unsupported_media_type` for other encodings,
 * `invalid_request` for bytes that are no gzip.
 */
export async function unpackBody(request: FastifyRequest, bytes: Buffer, limitBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return bytes;
  if (encoding !== 'gzip') {
    throw new CostplusError('unsupported_media_type', 'Send the body as it is, or with content-encoding gzip.');
  }
  try {
    return await unpack(bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new CostplusError('body_too_large', 'The unpacked body is larger than this route takes.');
    }
    throw new CostplusError('invalid_request', 'The body is not valid gzip.');
  }
}
