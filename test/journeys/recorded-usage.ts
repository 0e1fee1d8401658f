import { readFileSync } from 'node:fs';

/** One recorded answer of a provider: what is sent of it, and what it has to count as (a table written by hand). */
export interface Recorded {
  provider: string;
  model_id: string;
  format: string;
  /** The provider's own usage object, untouched. */
  usage: Record<string, unknown>;
  /** Null: the counts are impossible, the event is held. */
  meters: Record<string, number> | null;
  /** Called with the customer's own key at the provider: it costs us nothing. */
  paid_by_customer: boolean;
}

interface Sample {
  format: string;
  body: { usage?: Record<string, unknown>; usageMetadata?: Record<string, unknown> };
}
interface Expected {
  format: string;
  model_id: string | null;
  usage?: Record<string, number>;
  paid_by?: string;
}

const OWNERS: Record<string, string> = {
  'anthropic.messages': 'anthropic',
  'aws.bedrock_converse': 'aws',
  cohere: 'cohere',
  'google.generate_content': 'google',
  'openai.responses': 'openai',
  'openai.embeddings': 'openai',
};
/** Where an answer names no model, its caller knows what it asked for. */
const ASKED: Record<string, string> = {
  'aws.bedrock_converse': 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  cohere: 'command-r-08-2024',
  'google.generate_content': 'gemini-2.5-flash',
};

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));

/** The 154 recorded bodies of src/dev/samples with the counts of test/fixtures/expected-meters.json. */
export function recordedUsage(): Recorded[] {
  const samples = read('../../src/dev/samples/provider-bodies.json') as Sample[];
  const expected = read('../fixtures/expected-meters.json') as Expected[];
  return samples.map(({ format, body }, index) => {
    const { model_id, usage, paid_by } = expected[index]!;
    const model = model_id ?? ASKED[format]!;
    return {
      format,
      model_id: model,
      // Answers in OpenAI's format come from many providers: a name with a slash from one that resells.
      provider: OWNERS[format] ?? (model.includes('/') ? 'openrouter' : chatProvider(model)),
      usage: (body.usage ?? body.usageMetadata)!,
      meters: usage ?? null,
      paid_by_customer: paid_by === 'customer',
    };
  });
}

function chatProvider(model: string): string {
  if (model.startsWith('mistral')) return 'mistral';
  return /^(gpt-5|gpt-4)/.test(model) ? 'openai' : 'cerebras';
}
