/** The forms of names, without zod: what services install (src/client) checks the same forms and loads no schemas. */
import { ID_LENGTH_CHARS, LABEL_LENGTH_CHARS } from '../limits.js';

/** Ids are 1 to 128 of `A-Za-z0-9._:-`, so that they can stand in a workflow id. */
export const ID_PATTERN = new RegExp(`^[A-Za-z0-9._:-]{1,${ID_LENGTH_CHARS}}$`);

/** Model and provider names come from providers: `openai/gpt-5`, `meta-llama/Llama-4-Scout`, `us.anthropic.claude:0`. */
export const MODEL_PATTERN = /^[A-Za-z0-9._:/@+~ -]{1,200}$/;

/**
 * A label: no control characters, no line breaks, no half of a surrogate pair (it has no UTF-8 and no RFC 8785 form);
 * a name for grouping and never a text.
 */
export const LABEL_PATTERN = new RegExp(`^[^\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}]{1,${LABEL_LENGTH_CHARS}}$`, 'u');

/** A meter's name: `input_tokens`, `browser_seconds`. */
export const METER_PATTERN = /^[a-z][a-z0-9_]{0,63}$/;

/** Who pays the provider for a call. */
export const PAYERS = ['us', 'customer'] as const;

/** The provider usage formats with a normaliser in src/usage, one file each. */
export const USAGE_FORMATS = [
  'openai.chat',
  'openai.responses',
  'openai.embeddings',
  'openai.images',
  'openai.audio',
  'openai.realtime',
  'anthropic.messages',
  'google.generate_content',
  'aws.bedrock_converse',
  'cohere',
  'ai_sdk.v5',
  'ai_sdk.v6',
  'litellm.standard_logging_payload',
  'opentelemetry.gen_ai',
] as const;
export type UsageFormat = (typeof USAGE_FORMATS)[number];
