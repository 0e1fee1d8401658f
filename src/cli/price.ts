import { readFile } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import type { Command } from 'commander';
import type { Catalog } from '../catalog/catalog.js';
import { CommandFailure, EXIT_FAILED, EXIT_USAGE } from './exit-codes.js';

/** Where the lines come from and where the answers go. */
export interface PriceStreams {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream;
}

const HELP = `
A line is a usage event, or {"id"?, "provider"?, "model_id"?, "format"?, "occurred_at"?, "body"} with the response of
a provider as "body". Each gets one line: what it costs, or "held" and why. Ends with ${EXIT_FAILED} if a line could not be read.

Examples:
  $ costplus price < events.jsonl
  $ echo '{"provider":"openai","model_id":"gpt-5","usage":{"input_tokens":1000}}' | costplus price --at 2026-11-01T00:00:00Z`;

/** `costplus price`: what usage costs, from the bundled prices or a file's, without a database or a server. */
export function registerPrice(program: Command, streams?: PriceStreams): void {
  program
    .command('price')
    .description('price usage events or provider responses, one JSON line each, from standard input')
    .option('--at <instant>', 'the time of lines that name none, RFC 3339 (default: now)')
    .option('--catalog <file>', 'the body of a catalog version as JSON, instead of the bundled prices')
    .addHelpText('after', HELP)
    .action(async (options: { at?: string; catalog?: string }) => {
      const atMs = await instantOf(options.at);
      const catalog = await openCatalog(options.catalog);
      const unreadable = await priceStream(catalog, atMs, streams ?? { input: process.stdin, output: process.stdout });
      if (unreadable > 0) throw new CommandFailure(EXIT_FAILED, `${unreadable} of the lines could not be read.`);
    });
}

async function instantOf(text: string | undefined): Promise<number> {
  if (text === undefined) return Date.now();
  const { eventTimeMs } = await import('../usage/event-time.js');
  const atMs = eventTimeMs(text);
  if (atMs === null)
    throw new CommandFailure(EXIT_USAGE, '--at must be an RFC 3339 time such as 2026-11-01T12:00:00Z.');
  return atMs;
}

async function openCatalog(path: string | undefined): Promise<Catalog> {
  const { Catalog } = await import('../catalog/catalog.js');
  if (path === undefined) {
    const { readBundledCatalog } = await import('../catalog/bundled-catalog.js');
    return Catalog.fromBody(await readBundledCatalog());
  }
  const { catalogVersionSchema } = await import('../contracts/catalog.js');
  const { EMPTY_CATALOG } = await import('../catalog/catalog-data.js');
  const { checkCatalogVersion } = await import('../catalog/check-version.js');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    throw new CommandFailure(EXIT_USAGE, `${path} cannot be read as JSON.`);
  }
  const parsed = catalogVersionSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CommandFailure(EXIT_USAGE, `${path}: ${issue?.path.join('.') || 'it'}: ${issue?.message}`);
  }
  checkCatalogVersion(EMPTY_CATALOG, parsed.data);
  return Catalog.fromBody(parsed.data);
}

/** Answers line by line, in order, as fast as both streams go; returns how many lines could not be read. */
async function priceStream(catalog: Catalog, atMs: number, { input, output }: PriceStreams): Promise<number> {
  const { priceLine, REJECTED } = await import('./price-line.js');
  let unreadable = 0;
  const answer = (line: string): string => {
    if (line.trim() === '') return '';
    const priced = priceLine(catalog, line, atMs);
    if ('held' in priced && priced.held.reason === REJECTED) unreadable++;
    return `${JSON.stringify(priced)}\n`;
  };
  // The write's own callback tells of an error; without a listener the event of the same error would end the process.
  const ignore = () => undefined;
  output.on('error', ignore);
  try {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for await (const chunk of input) {
      const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n');
      rest = lines.pop() ?? '';
      await written(output, lines.map(answer).join(''));
    }
    await written(output, answer(rest + decoder.end()));
  } catch (error) {
    // The reader has seen enough (`| head`).
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  } finally {
    output.off('error', ignore);
  }
  return unreadable;
}

/** Writes a text and waits until it has left: that is what keeps memory constant. */
function written(output: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '') return Promise.resolve();
  return new Promise((resolve, reject) => {
    output.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
