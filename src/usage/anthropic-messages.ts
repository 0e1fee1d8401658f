import {
  type Counts,
  count,
  ImpossibleCounts,
  label,
  type NormalisedUsage,
  optionalCount,
  part,
  parts,
  requiredCount,
  requireWithin,
  Tally,
} from './counts.js';

/** The tokens of one sampling: the whole message, or one entry of `iterations`. */
function addTokens(meters: Tally, tokens: Counts): void {
  const lifetimes = part(tokens, 'cache_creation');
  const fiveMinutes = count(lifetimes, 'ephemeral_5m_input_tokens');
  const oneHour = count(lifetimes, 'ephemeral_1h_input_tokens');
  const written = optionalCount(tokens, 'cache_creation_input_tokens') ?? fiveMinutes + oneHour;
  requireWithin(fiveMinutes + oneHour, 'cache_creation', written, 'cache_creation_input_tokens');
  meters.add('input_tokens', requiredCount(tokens, 'input_tokens'));
  meters.add('cache_read_tokens', count(tokens, 'cache_read_input_tokens'));
  // What has no lifetime has the default one, five minutes.
  meters.add('cache_write_tokens', written - oneHour);
  meters.add('cache_write_1h_tokens', oneHour);
  meters.add('output_tokens', requiredCount(tokens, 'output_tokens'));
}

/** Whether an entry of `iterations` is the usage of a model other than the one that the message is charged to. */
export function isOtherModel(iteration: Counts, modelId: string | null): boolean {
  return iteration.type === 'advisor_message' && (modelId === null || iteration.model !== modelId);
}

/** What of a message is no count and changes its price: the tier, and fast mode, which is a tier by another name. */
function conditionsOf(usage: Counts): Pick<NormalisedUsage, 'service_tier' | 'region'> {
  const tier = label(usage, 'speed') === 'fast' ? 'fast' : label(usage, 'service_tier');
  const geo = label(usage, 'inference_geo');
  // List prices are for inference anywhere; models without a choice say that there is none.
  const region = geo === 'global' || geo === 'not_available' ? undefined : geo;
  return { ...(tier === undefined ? {} : { service_tier: tier }), ...(region === undefined ? {} : { region }) };
}

/**
 * Anthropic Messages `usage`: input, cache creation and cache read are additive; thinking is part of the output.
 * Streams: the last `message_delta.usage` is cumulative, it is the usage of the whole message.
 *
 * `iterations` lists the samplings of one request. Those of type `message` and `fallback_message` are what the top
 * level sums already (a failed fallback costs nothing); `compaction` is charged to the same model and is not in the
 * top level; `advisor_message` is charged to another model and is not in the top level. One event has one model, so
 * usage with another model's tokens is not priced: `fromResponse` makes an event of each model instead.
 */
export function normaliseAnthropicMessages(usage: Counts, modelId: string | null): NormalisedUsage {
  const meters = new Tally();
  const info = new Tally();
  addTokens(meters, usage);
  const thinking = count(part(usage, 'output_tokens_details'), 'thinking_tokens');
  requireWithin(thinking, 'thinking_tokens', count(usage, 'output_tokens'), 'output_tokens');
  info.add('reasoning_tokens', thinking);

  for (const iteration of parts(usage, 'iterations')) {
    switch (iteration.type) {
      case 'message':
      case 'fallback_message':
        break;
      case 'compaction':
        addTokens(meters, iteration);
        break;
      case 'advisor_message':
        if (isOtherModel(iteration, modelId)) {
          throw new ImpossibleCounts('iterations hold the usage of another model, which needs an event of its own');
        }
        addTokens(meters, iteration);
        break;
      default:
        throw new ImpossibleCounts('iterations hold a type of usage that is not known');
    }
  }
  const tools = part(usage, 'server_tool_use');
  meters.add('web_searches', count(tools, 'web_search_requests'));
  meters.add('web_fetches', count(tools, 'web_fetch_requests'));
  return { usage: meters.counts, info: info.counts, ...conditionsOf(usage) };
}
