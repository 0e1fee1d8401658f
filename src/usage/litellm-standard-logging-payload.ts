import {
  agreedCount,
  type Counts,
  count,
  ImpossibleCounts,
  type NormalisedUsage,
  optionalCount,
  part,
  requiredCount,
  requireWithin,
  Tally,
} from './counts.js';
import { addOutput, addPrompt, type Modalities } from './modalities.js';

function modalitiesOf(details: Counts): Modalities {
  return {
    text: 0,
    image: count(details, 'image_tokens'),
    video: count(details, 'video_tokens'),
    audio: count(details, 'audio_tokens'),
  };
}

/**
 * The counts of LiteLLM's StandardLoggingPayload, with the details of its `metadata.usage_object`. `prompt_tokens` holds
 * everything, Anthropic's cache reads and writes too, which stand there under Anthropic's and under OpenAI's names.
 * Reasoning that a provider leaves out of its completion shows in the total.
 */
export function normaliseLitellm(usage: Counts): NormalisedUsage {
  const promptDetails = part(usage, 'prompt_tokens_details');
  const completionDetails = part(usage, 'completion_tokens_details');
  const prompt = requiredCount(usage, 'prompt_tokens');
  let completion = count(usage, 'completion_tokens');
  const total = optionalCount(usage, 'total_tokens');
  const reasoning = count(completionDetails, 'reasoning_tokens');
  if (reasoning > 0 && total === prompt + completion + reasoning) completion += reasoning;
  else if (total !== null && total !== prompt + completion) {
    throw new ImpossibleCounts('total_tokens is not the sum of prompt_tokens and completion_tokens');
  }
  requireWithin(reasoning, 'reasoning_tokens', completion, 'completion_tokens');
  const cached = agreedCount([
    [usage, 'cache_read_input_tokens'],
    [promptDetails, 'cached_tokens'],
  ]);
  const written = agreedCount([
    [usage, 'cache_creation_input_tokens'],
    [promptDetails, 'cache_creation_tokens'],
    [promptDetails, 'cache_write_tokens'],
  ]);
  const oneHour = count(part(promptDetails, 'cache_creation_token_details'), 'ephemeral_1h_input_tokens');
  requireWithin(oneHour, 'ephemeral_1h_input_tokens', written, 'cache_creation_input_tokens');

  const meters = new Tally();
  addPrompt(meters, {
    whole: prompt - oneHour,
    name: 'prompt_tokens',
    listed: modalitiesOf(promptDetails),
    cached,
    cachedListed: { text: 0, image: 0, video: 0, audio: 0 },
    written: written - oneHour,
  });
  meters.add('cache_write_1h_tokens', oneHour);
  addOutput(meters, completion, 'completion_tokens', modalitiesOf(completionDetails));
  meters.add('web_searches', count(part(usage, 'server_tool_use'), 'web_search_requests'));
  return { usage: meters.counts, info: new Tally().add('reasoning_tokens', reasoning).counts };
}
