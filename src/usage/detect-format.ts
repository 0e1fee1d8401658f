import type { UsageFormat } from '../contracts/usage-event.js';
import type { Counts } from './counts.js';

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function has(object: Counts, ...names: string[]): boolean {
  return names.some((name) => object[name] !== undefined);
}

/**
 * The usage format of a response body or of a bare usage object; null where more than one could be meant, since a
 * wrong guess counts tokens twice.
 */
export function detectFormat(body: unknown): UsageFormat | null {
  if (!isObject(body)) return null;
  if (isObject(body.usageMetadata) || has(body, 'promptTokenCount', 'candidatesTokenCount')) {
    return 'google.generate_content';
  }
  if (isObject(body.meta) && isObject(body.meta.billed_units)) return 'cohere';
  if (has(body, 'call_type') && has(body, 'custom_llm_provider', 'response_cost')) {
    return 'litellm.standard_logging_payload';
  }
  if (body.type === 'response.done' || body.object === 'realtime.response') return 'openai.realtime';
  const usage = isObject(body.usage) ? body.usage : body;
  if (isObject(usage.billed_units)) return 'cohere';
  if (has(usage, 'prompt_tokens')) return promptTokens(body, usage);
  if (has(usage, 'inputTokens')) return camelCase(body, usage);
  if (has(usage, 'input_tokens') || usage.type === 'duration') return inputTokens(body, usage);
  return null;
}

function promptTokens(body: Counts, usage: Counts): UsageFormat | null {
  if (body.object === 'list') return 'openai.embeddings';
  if (has(usage, 'completion_tokens')) return 'openai.chat';
  return has(usage, 'total_tokens') ? 'openai.embeddings' : null;
}

/** Bedrock and the AI SDK write the same three names; each has others beside them that the other does not know. */
function camelCase(body: Counts, usage: Counts): UsageFormat | null {
  const bedrock =
    has(usage, 'cacheReadInputTokens', 'cacheReadInputTokenCount', 'cacheWriteInputTokens', 'serverToolUsage') ||
    has(body, 'stopReason', 'metrics');
  const v6 = isObject(usage.inputTokenDetails) || isObject(usage.outputTokenDetails) || isObject(usage.inputTokens);
  const v5 = !v6 && has(usage, 'cachedInputTokens', 'reasoningTokens');
  if (Number(bedrock) + Number(v6) + Number(v5) !== 1) return null;
  return bedrock ? 'aws.bedrock_converse' : v6 ? 'ai_sdk.v6' : 'ai_sdk.v5';
}

/** OpenAI's newer APIs and Anthropic begin alike. */
function inputTokens(body: Counts, usage: Counts): UsageFormat | null {
  if (usage.type === 'duration' || usage.type === 'tokens' || body.type === 'speech.audio.done') return 'openai.audio';
  const anthropic =
    body.type === 'message' ||
    has(usage, 'cache_creation_input_tokens', 'cache_read_input_tokens', 'cache_creation', 'server_tool_use');
  const realtime = has(usage, 'input_token_details', 'output_token_details');
  const details = usage.input_tokens_details;
  // Responses never list images or text there, image generations always do: without the body around it, it may be both.
  const listsImages =
    isObject(details) && has(details, 'image_tokens', 'text_tokens') && !has(details, 'cached_tokens');
  const images =
    listsImages && (Array.isArray(body.data) || /^image_(generation|edit)\./.test(String(body.type ?? '')));
  const responses =
    body.object === 'response' || (!listsImages && !realtime && has(usage, 'input_tokens_details', 'total_tokens'));
  if (Number(anthropic) + Number(realtime) + Number(images) + Number(responses) !== 1) return null;
  if (anthropic) return 'anthropic.messages';
  if (realtime) return 'openai.realtime';
  return images ? 'openai.images' : 'openai.responses';
}
