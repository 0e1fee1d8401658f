import { type CallReport, isObject } from './call-report.js';
import { observeStream } from './observe-stream.js';
import type { StreamingFormat } from './stream-usage.js';

/** Formats of these SDKs' calls. */
export type ObservedFormat = Exclude<StreamingFormat, 'google.generate_content'> | 'openai.embeddings';

/** The promise of OpenAI's and Anthropic's SDKs: it parses the response only when somebody asks for the parsed one. */
interface ApiPromise {
  _thenUnwrap(transform: (data: unknown, props?: { response?: Response }) => unknown): ApiPromise;
  parse(): Promise<unknown>;
  asResponse(): Promise<Response>;
}

/** Their stream: whoever reads it calls `iterator` for the chunks, `tee()` and `toReadableStream()` included. */
interface SdkStream {
  iterator: () => AsyncIterator<unknown>;
}

/** Under which name each provider gives the id that its support asks for. */
const ID_HEADERS: Readonly<Record<ObservedFormat, string>> = {
  'openai.chat': 'x-request-id',
  'openai.responses': 'x-request-id',
  'openai.embeddings': 'x-request-id',
  'anthropic.messages': 'request-id',
};

/**
 * Reports what an SDK's call answers, and returns the same kind of promise, for the same data. Data that streams is
 * reported when it ends.
 */
export function observeCall(
  promise: unknown,
  format: ObservedFormat,
  report: CallReport,
  passes?: (chunk: unknown) => boolean,
): unknown {
  const onData = (data: unknown, response?: Response): unknown => {
    const requestId = response?.headers.get(ID_HEADERS[format]) ?? null;
    if (isSdkStream(data) && format !== 'openai.embeddings') {
      observeIterator(data, format, report, requestId, passes);
    } else report.response(format, data, requestId ?? idOf(data));
    return data;
  };
  if (!isApiPromise(promise)) return promise instanceof Promise ? promise.then((data) => onData(data)) : promise;

  const observed = promise._thenUnwrap((data, props) => onData(data, props?.response));
  const { parse, asResponse } = observed;
  let parsed = false;
  observed.parse = () => {
    parsed = true;
    return parse.call(observed);
  };
  observed.asResponse = async () => {
    const response = await asResponse.call(observed);
    if (!parsed) report.rawResponse();
    return response;
  };
  return observed;
}

function observeIterator(
  stream: SdkStream,
  format: StreamingFormat,
  report: CallReport,
  requestId: string | null,
  passes?: (chunk: unknown) => boolean,
): void {
  const { iterator } = stream;
  stream.iterator = () => {
    const source = { [Symbol.asyncIterator]: () => iterator.call(stream) };
    return observeStream(source, format, report, requestId, passes);
  };
}

function idOf(data: unknown): string | null {
  return isObject(data) && typeof data.id === 'string' ? data.id : null;
}

function isApiPromise(value: unknown): value is ApiPromise {
  return value instanceof Promise && '_thenUnwrap' in value && typeof value._thenUnwrap === 'function';
}

function isSdkStream(value: unknown): value is SdkStream {
  return isObject(value) && Symbol.asyncIterator in value && typeof value.iterator === 'function';
}
