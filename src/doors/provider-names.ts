/**
 * What gateways and instrumentations call the providers of the catalog. A fixed table of names that mean one provider;
 * what does not stand here is taken as it is, and held where the catalog has no such provider.
 */
const CATALOG_NAMES: Readonly<Record<string, string>> = {
  // OpenTelemetry: gen_ai.provider.name, and gen_ai.system before it.
  'aws.bedrock': 'aws',
  'gcp.gemini': 'google',
  'gcp.gen_ai': 'google',
  'gcp.vertex_ai': 'google',
  'azure.ai.openai': 'azure',
  'azure.ai.inference': 'azure',
  'az.ai.openai': 'azure',
  'az.ai.inference': 'azure',
  mistral_ai: 'mistral',
  x_ai: 'x-ai',
  moonshot_ai: 'moonshotai',
  // LiteLLM: custom_llm_provider.
  bedrock: 'aws',
  bedrock_converse: 'aws',
  gemini: 'google',
  vertex_ai: 'google',
  azure_ai: 'azure',
  cohere_chat: 'cohere',
  xai: 'x-ai',
  together_ai: 'together',
  fireworks_ai: 'fireworks',
  moonshot: 'moonshotai',
  voyage: 'voyageai',
  // Vercel AI Gateway: slugs of its routing.
  vertex: 'google',
  vertexAnthropic: 'google',
  togetherai: 'together',
};

/** The catalog's name of a provider that a payload names. */
export function catalogProvider(name: string): string {
  return Object.hasOwn(CATALOG_NAMES, name) ? CATALOG_NAMES[name]! : name;
}
