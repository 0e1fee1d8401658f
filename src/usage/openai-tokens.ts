import {
  agreedCount,
  type Counts,
  count,
  ImpossibleCounts,
  label,
  type NormalisedUsage,
  optionalCount,
  part,
  requiredCount,
  requireWithin,
  Tally,
} from './counts.js';
import { addOutput, addPrompt, type Modalities } from './modalities.js';
import { reportedCost } from './reported-cost.js';

/** The names under which one of OpenAI's APIs writes the same counts. */
export interface OpenaiNames {
  input: string;
  output: string;
  inputDetails: string;
  outputDetails: string;
}

function modalitiesOf(details: Counts, whole: number, wholeName: string): Modalities {
  requireWithin(count(details, 'text_tokens'), 'text_tokens', whole, wholeName);
  // text_tokens is not taken as text's share: some providers leave it at zero, and what is not listed is text anyway.
  return {
    text: 0,
    image: count(details, 'image_tokens'),
    video: count(details, 'video_tokens'),
    audio: count(details, 'audio_tokens'),
  };
}

/** Perplexity bills reasoning, citations and searches beside the completion, and names them at the top of `usage`. */
function isPerplexity(usage: Counts): boolean {
  return optionalCount(usage, 'citation_tokens') !== null || optionalCount(usage, 'num_search_queries') !== null;
}

/**
 * The tokens of OpenAI's APIs and of the many that copy them. Every detail is a part of its whole: cached and written
 * tokens of the input, reasoning of the output. Where a provider leaves reasoning out of its output (xAI), the total
 * tells: it is input + output + reasoning. A total that is neither is impossible.
 */
export function normaliseOpenaiTokens(usage: Counts, names: OpenaiNames): NormalisedUsage {
  const inputDetails = part(usage, names.inputDetails);
  const outputDetails = part(usage, names.outputDetails);
  const input = requiredCount(usage, names.input);
  let output = count(usage, names.output);
  const total = optionalCount(usage, 'total_tokens');
  const reasoning = agreedCount([
    [outputDetails, 'reasoning_tokens'],
    [usage, 'reasoning_tokens'],
  ]);
  const perplexity = isPerplexity(usage);
  const meters = new Tally();
  const info = new Tally();

  if (!perplexity && reasoning > 0 && total === input + output + reasoning) output += reasoning;
  else if (total !== null && total !== input + output) {
    throw new ImpossibleCounts(`total_tokens is not the sum of ${names.input} and ${names.output}`);
  }
  if (perplexity) {
    meters.add('output_reasoning_tokens', reasoning);
    meters.add('output_citation_tokens', count(usage, 'citation_tokens'));
    meters.add('web_searches', count(usage, 'num_search_queries'));
  } else {
    requireWithin(reasoning, 'reasoning_tokens', output, names.output);
    info.add('reasoning_tokens', reasoning);
  }

  // The same count by other names: DeepSeek, Mistral, Moonshot and Together.
  const cached = agreedCount([
    [inputDetails, 'cached_tokens'],
    [usage, 'prompt_cache_hit_tokens'],
    [usage, 'num_cached_tokens'],
    [usage, 'cached_tokens'],
  ]);
  const missed = optionalCount(usage, 'prompt_cache_miss_tokens');
  if (missed !== null && missed + cached !== input) {
    throw new ImpossibleCounts(`prompt_cache_hit_tokens and prompt_cache_miss_tokens are not ${names.input}`);
  }
  addPrompt(meters, {
    whole: input,
    name: names.input,
    listed: modalitiesOf(inputDetails, input, names.input),
    cached,
    cachedListed: modalitiesOf(part(inputDetails, 'cached_tokens_details'), cached, 'cached_tokens'),
    written: count(inputDetails, 'cache_write_tokens'),
  });
  addOutput(meters, output, names.output, modalitiesOf(outputDetails, output, names.output));

  // Rejected predictions are part of the output and are billed as such.
  for (const name of ['accepted_prediction_tokens', 'rejected_prediction_tokens']) {
    requireWithin(count(outputDetails, name), name, output, names.output);
    info.add(name, count(outputDetails, name));
  }
  meters.add('web_searches', count(part(usage, 'server_tool_use'), 'web_search_requests'));

  const serviceTier = label(usage, 'service_tier');
  const cost = reportedCost(usage);
  return {
    usage: meters.counts,
    info: info.counts,
    ...(serviceTier === undefined ? {} : { service_tier: serviceTier }),
    ...(cost === null ? {} : { reported_cost: cost }),
    // OpenRouter: the call went out under a provider key brought along.
    ...(usage.is_byok === true ? { paid_by: 'customer' } : {}),
  };
}
