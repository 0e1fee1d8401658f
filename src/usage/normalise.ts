import { MODEL_PATTERN } from '../contracts/patterns.js';
import type { UsageFormat } from '../contracts/usage-event.js';
import { METERS_PER_EVENT_COUNT } from '../limits.js';
import { normaliseAiSdkV5 } from './ai-sdk-v5.js';
import { normaliseAiSdkV6 } from './ai-sdk-v6.js';
import { isOtherModel, normaliseAnthropicMessages } from './anthropic-messages.js';
import { normaliseAwsBedrockConverse } from './aws-bedrock-converse.js';
import { normaliseCohere } from './cohere.js';
import { type Counts, ImpossibleCounts, type NormalisedUsage } from './counts.js';
import { detectFormat } from './detect-format.js';
import { normaliseGoogleGenerateContent } from './google-generate-content.js';
import { normaliseLitellm } from './litellm-standard-logging-payload.js';
import { normaliseOpenaiAudio } from './openai-audio.js';
import { normaliseOpenaiChat } from './openai-chat.js';
import { normaliseOpenaiEmbeddings } from './openai-embeddings.js';
import { normaliseOpenaiImages } from './openai-images.js';
import { normaliseOpenaiRealtime } from './openai-realtime.js';
import { normaliseOpenaiResponses } from './openai-responses.js';
import { normaliseOpentelemetryGenAi } from './opentelemetry-gen-ai.js';
import { keepCounts } from './provider-usage.js';

export { detectFormat };

/**
 * The provider whose format it is: the last hint to a provider that an event gives. Null for the formats of SDKs and
 * gateways, which carry the usage of any provider.
 */
export const FORMAT_OWNER: Readonly<Record<UsageFormat, string | null>> = {
  'openai.chat': 'openai',
  'openai.responses': 'openai',
  'openai.embeddings': 'openai',
  'openai.images': 'openai',
  'openai.audio': 'openai',
  'openai.realtime': 'openai',
  'anthropic.messages': 'anthropic',
  'google.generate_content': 'google',
  'aws.bedrock_converse': 'aws',
  cohere: 'cohere',
  'ai_sdk.v5': null,
  'ai_sdk.v6': null,
  'litellm.standard_logging_payload': null,
  'opentelemetry.gen_ai': null,
};

type Normaliser = (usage: Counts, modelId: string | null, provider: string | null) => NormalisedUsage;

const NORMALISERS: Readonly<Record<UsageFormat, Normaliser>> = {
  'openai.chat': normaliseOpenaiChat,
  'openai.responses': normaliseOpenaiResponses,
  'openai.embeddings': normaliseOpenaiEmbeddings,
  'openai.images': normaliseOpenaiImages,
  'openai.audio': normaliseOpenaiAudio,
  'openai.realtime': normaliseOpenaiRealtime,
  'anthropic.messages': normaliseAnthropicMessages,
  'google.generate_content': normaliseGoogleGenerateContent,
  'aws.bedrock_converse': normaliseAwsBedrockConverse,
  cohere: normaliseCohere,
  'ai_sdk.v5': normaliseAiSdkV5,
  'ai_sdk.v6': normaliseAiSdkV6,
  'litellm.standard_logging_payload': normaliseLitellm,
  'opentelemetry.gen_ai': normaliseOpentelemetryGenAi,
};

/**
 * Additive meters of a provider's own usage object, or why its counts cannot be true (then the event is held).
 * `modelId` is the event's model: usage that names another model is not this event's. `provider` is who was called, where
 * that is known: AI SDK 5 means something else by the same names for each provider.
 */
export function normaliseUsage(
  format: UsageFormat,
  usage: unknown,
  modelId: string | null = null,
  provider: string | null = null,
): NormalisedUsage | { impossible: string } {
  if (!isObject(usage)) return { impossible: 'the usage is not an object' };
  try {
    const normalised = normaliserFor(format, usage)(modelId, provider);
    if (Object.keys(normalised.usage).length > METERS_PER_EVENT_COUNT) {
      return { impossible: `there are more than ${METERS_PER_EVENT_COUNT} meters` };
    }
    return normalised;
  } catch (error) {
    if (error instanceof ImpossibleCounts) return { impossible: error.message };
    throw error;
  }
}

/** The normaliser of a usage object; for AI SDK 6 that of the provider's own object (`raw`) where its format shows. */
function normaliserFor(format: UsageFormat, usage: Counts): (m: string | null, p: string | null) => NormalisedUsage {
  const inner = format === 'ai_sdk.v6' && isObject(usage.raw) ? usage.raw : null;
  const innerFormat = inner === null ? null : detectFormat(inner);
  return innerFormat === null || inner === null
    ? (modelId, provider) => NORMALISERS[format](usage, modelId, provider)
    : (modelId, provider) => NORMALISERS[innerFormat](inner, modelId, provider);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What an event takes from a response: the model, the counts, the tier. */
export interface ResponseUsage {
  /** Null where the body does not say it (Bedrock, Cohere): it is known from the request. */
  model_id: string | null;
  provider_usage: { format: UsageFormat; usage: Record<string, unknown> };
  service_tier?: string;
  /** Usage of other models in the same response: each needs an event of its own. */
  others?: { model_id: string; provider_usage: { format: UsageFormat; usage: Record<string, unknown> } }[];
}

/** Where the usage of a response stands, by format; `usage` at the top where it is not listed. */
function usageIn(format: UsageFormat, body: Record<string, unknown>): Record<string, unknown> | null {
  const inner = isObject(body.response) ? body.response : body;
  const named =
    format === 'google.generate_content'
      ? body.usageMetadata
      : format === 'cohere'
        ? (body.usage ?? body.meta)
        : format === 'openai.realtime'
          ? inner.usage
          : format === 'litellm.standard_logging_payload'
            ? litellmCounts(body)
            : body.usage;
  return isObject(named) ? named : null;
}

/** LiteLLM counts at the top of its payload and has the details in `metadata.usage_object`. */
export function litellmCounts(payload: Counts): Record<string, unknown> {
  const metadata = isObject(payload.metadata) ? payload.metadata : {};
  const details = isObject(metadata.usage_object) ? metadata.usage_object : {};
  const counts: Record<string, unknown> = { ...details };
  for (const name of ['prompt_tokens', 'completion_tokens', 'total_tokens']) {
    if (payload[name] !== undefined) counts[name] = payload[name];
  }
  return counts;
}

function modelIn(format: UsageFormat, body: Record<string, unknown>): string | null {
  const response = isObject(body.response) ? body.response : {};
  const named =
    format === 'google.generate_content'
      ? body.modelVersion
      : format === 'ai_sdk.v5' || format === 'ai_sdk.v6'
        ? response.modelId
        : body.model;
  return typeof named === 'string' && MODEL_PATTERN.test(named) ? named : null;
}

/**
 * The usage of a whole response body: counts and labels only, never content. Null when the body holds no usage.
 * Where the response was made by more than one model (Anthropic's advisor), the other models' usage stands in `others`.
 */
export function fromResponse(format: UsageFormat, body: unknown): ResponseUsage | null {
  if (!isObject(body)) return null;
  const found = usageIn(format, body);
  if (found === null) return null;
  const usage = keepCounts(found);
  const modelId = modelIn(format, body);
  const others: NonNullable<ResponseUsage['others']> = [];
  if (format === 'anthropic.messages' && Array.isArray(usage.iterations)) {
    usage.iterations = usage.iterations.filter((iteration: unknown) => {
      if (!isObject(iteration) || !isOtherModel(iteration, modelId)) return true;
      const { type: _type, model, ...counts } = iteration;
      // Without a valid name it stays where it is, and holds the event until somebody looks at it.
      if (typeof model !== 'string' || !MODEL_PATTERN.test(model)) return true;
      others.push({ model_id: model, provider_usage: { format, usage: counts } });
      return false;
    });
  }
  const tier = body.service_tier;
  return {
    model_id: modelId,
    provider_usage: { format, usage },
    ...(typeof tier === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(tier) ? { service_tier: tier } : {}),
    ...(others.length === 0 ? {} : { others }),
  };
}
