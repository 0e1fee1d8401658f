import { answeringAttempt } from '../doors/vercel-ai-gateway.js';
import { add, format, parseDecimal } from '../money/fraction.js';
import { fromResponse } from '../usage/normalise.js';
import { decimalOf, gatewayCost } from '../usage/reported-cost.js';
import { CallReport, isObject, type WrapOptions } from './call-report.js';
import type { UsageEventInput } from './event-input.js';

/** What the middleware reads of a model. */
interface ModelNames {
  provider: string;
  modelId: string;
}

/** What it reads of an answer: the parts that version 2 and 3 of the provider interface share. */
interface Answer {
  usage?: unknown;
  providerMetadata?: unknown;
  response?: { id?: string; modelId?: string } | undefined;
}

/** The AI SDK's names of providers (before the first dot) by costplus's. Gateways are named by the model's prefix. */
const PROVIDERS: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  google: 'google',
  azure: 'azure',
  'azure-openai': 'azure',
  'amazon-bedrock': 'aws',
  bedrock: 'aws',
  mistral: 'mistral',
  cohere: 'cohere',
  groq: 'groq',
  deepseek: 'deepseek',
  xai: 'x-ai',
  perplexity: 'perplexity',
  openrouter: 'openrouter',
};

/**
 * Middleware for `wrapLanguageModel` of the AI SDK (5 and 6): reports the usage of each generation and stream. Costs that
 * Vercel's AI Gateway or OpenRouter put into the provider's metadata become the event's `reported_cost`; where they say
 * that a key was brought along, the customer paid, unless the context says otherwise. What the model answers passes
 * unchanged.
 */
export function costplusMiddleware(options: WrapOptions) {
  return {
    specificationVersion: 'v3' as const,

    async wrapGenerate<R extends Answer>(call: { doGenerate: () => PromiseLike<R>; model: ModelNames }): Promise<R> {
      const report = CallReport.begin(options, 'doGenerate', { model: call.model.modelId });
      const answer = await call.doGenerate();
      if (report) reportAnswer(report, call.model, answer);
      return answer;
    },

    async wrapStream<P, R extends { stream: ReadableStream<P> }>(call: {
      doStream: () => PromiseLike<R>;
      model: ModelNames;
    }): Promise<R> {
      const report = CallReport.begin(options, 'doStream', { model: call.model.modelId });
      const answer = await call.doStream();
      return report ? { ...answer, stream: observed(answer.stream, report, call.model) } : answer;
    },
  };
}

/** The same stream, read no faster than its reader reads. */
function observed<P>(stream: ReadableStream<P>, report: CallReport, model: ModelNames): ReadableStream<P> {
  const reader = stream.getReader();
  let response: Answer['response'];
  const see = (part: unknown): void => {
    if (!isObject(part)) return;
    if (part.type === 'response-metadata') response = { ...response, ...(part as Answer['response']) };
    else if (part.type === 'finish') reportAnswer(report, model, { ...(part as Answer), response });
  };
  return new ReadableStream<P>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            report.unknown('no_usage', response?.id);
            controller.close();
          } else {
            see(value);
            controller.enqueue(value);
          }
        } catch (error) {
          report.unknown('ended_early', response?.id);
          controller.error(error);
        }
      },
      cancel(reason) {
        report.unknown('ended_early', response?.id);
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The report does nothing the second time: a stream that has told its usage may end as it likes. */
function reportAnswer(report: CallReport, model: ModelNames, answer: Answer): void {
  const requestId = answer.response?.id ?? null;
  const event = eventOf(model, answer);
  if (event === null) report.unknown('no_usage', requestId);
  else report.event(event, requestId);
}

function eventOf(model: ModelNames, answer: Answer): Omit<UsageEventInput, 'customer_id'> | null {
  if (!isObject(answer.usage)) return null;
  const name = model.provider.split('.')[0] ?? '';
  const provider = PROVIDERS[name];
  // A gateway's answer may leave the maker of the model out of its name; the request had it.
  const model_id = name === 'gateway' ? model.modelId : (answer.response?.modelId ?? model.modelId);
  const metadata = isObject(answer.providerMetadata) ? answer.providerMetadata : {};
  const found = fromResponse(...usageOf(answer.usage, metadata));
  if (found === null) return null;
  const cost = reportedCostOf(metadata);
  return {
    model_id,
    provider_usage: found.provider_usage,
    ...(provider === undefined ? {} : { provider }),
    ...(cost === null ? {} : { reported_cost: { amount: cost, currency: 'usd' } }),
    ...(isOwnKey(metadata) ? { paid_by: 'customer' as const } : {}),
  };
}

/**
 * Version 3 of the interface says what is part of what; version 2 hands on what each provider means, also where the
 * SDK brings it into the form of version 3: then it does not know how much of the input was not cached.
 */
function usageOf(
  usage: Record<string, unknown>,
  metadata: Record<string, unknown>,
): ['ai_sdk.v5' | 'ai_sdk.v6', { usage: Record<string, unknown> }] {
  const anthropic = isObject(metadata.anthropic) ? metadata.anthropic : {};
  const written =
    typeof anthropic.cacheCreationInputTokens === 'number'
      ? { cacheCreationInputTokens: anthropic.cacheCreationInputTokens }
      : {};
  const { inputTokens, outputTokens } = usage;
  if (!isObject(inputTokens)) return ['ai_sdk.v5', { usage: { ...usage, ...written } }];
  if (inputTokens.noCache !== undefined || inputTokens.cacheRead === undefined) return ['ai_sdk.v6', { usage }];
  const output = isObject(outputTokens) ? outputTokens : {};
  const flat = {
    inputTokens: inputTokens.total,
    cachedInputTokens: inputTokens.cacheRead,
    outputTokens: output.total,
    reasoningTokens: output.reasoning,
  };
  return ['ai_sdk.v5', { usage: { ...flat, ...written } }];
}

/** Whether a gateway made the call with a provider key that was brought along. */
function isOwnKey({ gateway, openrouter }: Record<string, unknown>): boolean {
  if (isObject(openrouter) && isObject(openrouter.usage) && openrouter.usage.isByok === true) return true;
  const routing = isObject(gateway) && isObject(gateway.routing) ? gateway.routing : {};
  return answeringAttempt(routing)?.credentialType === 'byok';
}

/**
 * What a gateway says the call cost, in US dollars. OpenRouter: `usage.cost`, and what the upstream provider charges
 * beside it where the account brought a key of its own.
 */
function reportedCostOf(metadata: Record<string, unknown>): string | null {
  if (isObject(metadata.gateway)) return gatewayCost(metadata.gateway);
  const usage = isObject(metadata.openrouter) ? metadata.openrouter.usage : undefined;
  if (!isObject(usage)) return null;
  const cost = decimalOf(usage.cost);
  const details = isObject(usage.costDetails) ? usage.costDetails : {};
  const upstream = usage.isByok === true ? decimalOf(details.upstreamInferenceCost) : null;
  return cost === null || upstream === null ? cost : format(add(parseDecimal(cost), parseDecimal(upstream)));
}
