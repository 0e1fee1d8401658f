import { CallReport, isObject, type WrapOptions } from './call-report.js';
import { observeStream } from './observe-stream.js';
import { asViewOf, unwrapped } from './wrap-methods.js';

/** What of Google's client is wrapped. */
interface GoogleGenAILike {
  models: { generateContent: unknown; generateContentStream: unknown };
}

type Method = (...args: unknown[]) => Promise<unknown>;
type Constructor = new (...args: unknown[]) => Record<string, unknown>;

/**
 * The same client, whose `models.generateContent` and `models.generateContentStream` report their usage, and with them
 * `chats`. Each request to the model is one event: automatic function calling makes several for one call. The client
 * that is passed in stays as it was; one that was wrapped before
 * reports by the new options only.
 */
export function wrapGoogle<T extends GoogleGenAILike>(given: T, options: WrapOptions): T {
  const client = unwrapped(given);
  const models = reportingModels(client.models as unknown as Record<string, unknown>, options);
  const { chats } = client as { chats?: object };
  const replaced = new Map<PropertyKey, unknown>([['models', models]]);
  // Chats keep the models that they call.
  if (chats) replaced.set('chats', new (chats.constructor as Constructor)(models, Reflect.get(chats, 'apiClient')));
  const view = new Proxy(client, {
    get(target, property) {
      return replaced.get(property) ?? Reflect.get(target, property, target);
    },
    set(target, property, value) {
      return Reflect.set(target, property, value, target);
    },
  });
  return asViewOf(client, view);
}

/**
 * Another `Models` on the same connection. The SDK's public methods loop over one private method for each request; only
 * there is the usage of every request seen, where a loop returns the last answer alone. An SDK without these methods is
 * wrapped at the public ones.
 */
function reportingModels(models: Record<string, unknown>, options: WrapOptions): object {
  const copy = new (models.constructor as Constructor)(models.apiClient);
  const isPrivate = typeof copy.generateContentInternal === 'function';
  const [one, stream] = isPrivate
    ? ['generateContentInternal', 'generateContentStreamInternal']
    : ['generateContent', 'generateContentStream'];
  const generate = copy[one] as Method;
  const generateStream = copy[stream] as Method;

  copy[one] = async (...args: unknown[]) => {
    const report = CallReport.begin(options, 'models.generateContent', args[0]);
    const response = await generate.apply(copy, args);
    report?.response('google.generate_content', response, responseId(response));
    return response;
  };
  copy[stream] = async (...args: unknown[]) => {
    const report = CallReport.begin(options, 'models.generateContentStream', args[0]);
    const chunks = (await generateStream.apply(copy, args)) as AsyncIterable<unknown>;
    return report ? observeStream(chunks, 'google.generate_content', report, null) : chunks;
  };
  return copy;
}

function responseId(response: unknown): string | null {
  return isObject(response) && typeof response.responseId === 'string' ? response.responseId : null;
}
