import type { UsageFormat } from '../contracts/patterns.js';
import { isObject } from './call-report.js';

/** What is kept of a stream: no more than a response's model, usage and tier. */
export interface StreamUsage {
  see(event: unknown): void;
  /** What `fromResponse` reads. */
  body(): Record<string, unknown>;
  /** Whether the last usage has been seen: leaving the stream after it loses nothing. */
  readonly complete: boolean;
}

/** `/chat/completions`: the usage of the whole stands in the last chunk, and only when it was asked for. */
class OpenaiChatStream implements StreamUsage {
  #body: Record<string, unknown> = {};
  complete = false;

  see(chunk: unknown): void {
    if (!isObject(chunk)) return;
    const { model, service_tier, usage } = chunk;
    if (model !== undefined) this.#body.model = model;
    if (service_tier !== undefined) this.#body.service_tier = service_tier;
    if (isObject(usage)) {
      // Some servers send a running usage in every chunk: the last one is the whole.
      this.#body.usage = usage;
      this.complete = true;
    }
  }

  body(): Record<string, unknown> {
    return this.#body;
  }
}

/** `/responses`: the events that end a response carry it whole. */
class OpenaiResponsesStream implements StreamUsage {
  #body: Record<string, unknown> = {};
  complete = false;

  see(event: unknown): void {
    if (!isObject(event) || !isObject(event.response)) return;
    const { model, service_tier, usage } = event.response;
    this.#body = { model, service_tier, usage };
    if (isObject(usage)) this.complete = true;
  }

  body(): Record<string, unknown> {
    return this.#body;
  }
}

/** Messages: `message_start` has the input's counts; each `message_delta` replaces what it names, and never adds to it. */
class AnthropicStream implements StreamUsage {
  #model: unknown;
  #usage: Record<string, unknown> | undefined;
  complete = false;

  see(event: unknown): void {
    if (!isObject(event)) return;
    if (event.type === 'message_start' && isObject(event.message)) {
      this.#model = event.message.model;
      this.#take(event.message.usage);
    } else if (event.type === 'message_delta') {
      this.#take(event.usage);
      if (isObject(event.delta) && event.delta.stop_reason) this.complete = true;
    }
  }

  #take(usage: unknown): void {
    if (!isObject(usage)) return;
    const named = Object.entries(usage).filter(([, value]) => value !== null && value !== undefined);
    this.#usage = { ...this.#usage, ...Object.fromEntries(named) };
  }

  body(): Record<string, unknown> {
    return { model: this.#model, usage: this.#usage };
  }
}

/** Gemini: each chunk has the usage so far, the last one that of the whole. */
class GoogleStream implements StreamUsage {
  #body: Record<string, unknown> = {};
  complete = false;

  see(chunk: unknown): void {
    if (!isObject(chunk)) return;
    if (chunk.modelVersion !== undefined) this.#body.modelVersion = chunk.modelVersion;
    if (isObject(chunk.usageMetadata)) this.#body.usageMetadata = chunk.usageMetadata;
    const [first] = Array.isArray(chunk.candidates) ? (chunk.candidates as unknown[]) : [];
    if (isObject(first) && first.finishReason !== undefined) this.complete = isObject(this.#body.usageMetadata);
  }

  body(): Record<string, unknown> {
    return this.#body;
  }
}

/** Formats that stream. */
export type StreamingFormat = Extract<
  UsageFormat,
  'openai.chat' | 'openai.responses' | 'anthropic.messages' | 'google.generate_content'
>;

/** Gathers the usage of one stream of a format. */
export function streamUsage(format: StreamingFormat): StreamUsage {
  switch (format) {
    case 'openai.chat':
      return new OpenaiChatStream();
    case 'openai.responses':
      return new OpenaiResponsesStream();
    case 'anthropic.messages':
      return new AnthropicStream();
    case 'google.generate_content':
      return new GoogleStream();
  }
}
