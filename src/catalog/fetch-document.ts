import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CostplusError } from '../errors/error.js';
import { PRICE_DOCUMENT_BYTES, PRICE_FETCH_SECONDS } from '../limits.js';

/**
 * The JSON document at an http(s) URL or in a file, at most PRICE_DOCUMENT_BYTES of it within PRICE_FETCH_SECONDS. Throws
 * `price_source_unavailable` (retryable) and `invalid_price_document`; neither repeats the address, which can hold a
 * token.
 */
export async function fetchDocument(from: string, signal?: AbortSignal): Promise<unknown> {
  const timeout = AbortSignal.timeout(PRICE_FETCH_SECONDS * 1_000);
  const ended = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const text = /^https?:\/\//.test(from) ? await readUrl(from, ended) : await readWhole(from);
  try {
    return JSON.parse(text);
  } catch {
    throw new CostplusError('invalid_price_document', 'The document of the price source is not valid JSON.');
  }
}

async function readUrl(url: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await fetch(url, { signal, headers: { accept: 'application/json' } });
    if (!response.ok) throw unavailable(`It answers with status ${response.status}.`);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > PRICE_DOCUMENT_BYTES) throw unavailable(`The document has more than ${PRICE_DOCUMENT_BYTES} bytes.`);
      chunks.push(Buffer.from(chunk));
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    if (error instanceof CostplusError) throw error;
    throw unavailable(signal.aborted ? 'It did not answer in time.' : 'There is no connection to it.', error);
  }
}

async function readWhole(path: string): Promise<string> {
  try {
    const file = await open(path.startsWith('file://') ? fileURLToPath(path) : path);
    try {
      const { size } = await file.stat();
      if (size > PRICE_DOCUMENT_BYTES) throw unavailable(`The document has more than ${PRICE_DOCUMENT_BYTES} bytes.`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CostplusError) throw error;
    throw unavailable('The file cannot be read.', error);
  }
}

function unavailable(detail: string, cause?: unknown): CostplusError {
  return new CostplusError('price_source_unavailable', `A price source gives no document. ${detail}`, { cause });
}
