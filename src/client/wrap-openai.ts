import { CallReport, isObject, type WrapOptions } from './call-report.js';
import { type ObservedFormat, observeCall } from './observe-call.js';
import { type Interceptor, wrapMethods } from './wrap-methods.js';

export interface WrapOpenAIOptions extends WrapOptions {
  /**
   * Ask for the usage of streamed chat completions where the caller did not say whether they want it (default true).
   * The chunk that only comes because it was asked for is kept from the caller, who may not expect a chunk without
   * choices. Switch it off for servers that refuse `stream_options`; streams without usage are then told to `onGap`.
   */
  askForStreamUsage?: boolean;
}

/** What of OpenAI's client is wrapped. */
interface OpenAILike {
  chat: { completions: { create: unknown } };
}

/**
 * The same client, whose `chat.completions.create`, `responses.create` and `embeddings.create` report their usage, and
 * with them the helpers that call these: `.stream()`, `.parse()`, `.runTools()`. Also for clients of servers that copy
 * OpenAI's API; name them by `context.provider`. The client that is passed in stays as it was; one that was wrapped before
 * reports by the new options only.
 */
export function wrapOpenAI<T extends OpenAILike>(client: T, options: WrapOpenAIOptions): T {
  return wrapMethods(client, {
    'chat.completions.create': (call, args) => chatCompletion(call, args, options),
    'responses.create': reporting('responses.create', 'openai.responses', options),
    'embeddings.create': reporting('embeddings.create', 'openai.embeddings', options),
    withOptions: (call, args) => wrapOpenAI(call(...args) as T, options),
  });
}

function reporting(operation: string, format: ObservedFormat, options: WrapOptions): Interceptor {
  return (call, args) => {
    const report = CallReport.begin(options, operation, args[0]);
    const promise = call(...args);
    return report ? observeCall(promise, format, report) : promise;
  };
}

function chatCompletion(call: Parameters<Interceptor>[0], args: unknown[], options: WrapOpenAIOptions): unknown {
  const report = CallReport.begin(options, 'chat.completions.create', args[0]);
  if (!report) return call(...args);
  const [body, ...others] = args;
  if (options.askForStreamUsage === false || !isObject(body) || body.stream !== true || saysUsage(body)) {
    return observeCall(call(...args), 'openai.chat', report);
  }
  const stream_options = { ...(isObject(body.stream_options) ? body.stream_options : {}), include_usage: true };
  const promise = call({ ...body, stream_options }, ...others);
  return observeCall(promise, 'openai.chat', report, (chunk) => !isUsageChunk(chunk));
}

function saysUsage(body: Record<string, unknown>): boolean {
  return isObject(body.stream_options) && body.stream_options.include_usage !== undefined;
}

/** The chunk of `include_usage`: usage and no choices. */
function isUsageChunk(chunk: unknown): boolean {
  return isObject(chunk) && Array.isArray(chunk.choices) && chunk.choices.length === 0 && isObject(chunk.usage);
}
