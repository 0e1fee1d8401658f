import { detectFormat } from '../usage/normalise.js';
import { keepCounts } from '../usage/provider-usage.js';
import { gatewayCost } from '../usage/reported-cost.js';
import { readCalls } from './call-envelope.js';
import { type DoorEntry, foreignEventId, objectOf, refused, stringOf, withoutUndefined } from './door.js';
import { catalogProvider } from './provider-names.js';

type Json = Readonly<Record<string, unknown>>;

/** The attempt of a provider that answered: the last one that succeeded. */
export function answeringAttempt(routing: Json): Json | null {
  const models = Array.isArray(routing.modelAttempts) ? routing.modelAttempts : [];
  const nested: unknown[] = models.flatMap((model: unknown) => {
    const attempts = objectOf(model)?.providerAttempts;
    return Array.isArray(attempts) ? attempts : [];
  });
  const flat: unknown[] = Array.isArray(routing.attempts) ? routing.attempts : [];
  const attempts = (nested.length > 0 ? nested : flat).map(objectOf);
  return attempts.findLast((attempt) => attempt?.success === true) ?? null;
}

/**
 * Results of the AI SDK through Vercel AI Gateway: `{"calls": [{"customer_id", "usage", "providerMetadata", "response"}]}`
 * with the members of a result as the SDK names them. Identity: `providerMetadata.gateway.generationId`. Time:
 * `response.timestamp`, else `occurred_at`. Provider and model are those that answered in the end, after fallbacks.
 */
export function readVercelCalls(body: unknown): DoorEntry[] {
  return readCalls(body, ['usage', 'providerMetadata', 'response'], (call, added, path) => {
    const metadata = objectOf(call.providerMetadata) ?? {};
    const gateway = objectOf(metadata.gateway);
    const id = stringOf(gateway?.generationId);
    if (gateway === null || id === undefined) {
      return refused(`${path}.providerMetadata.gateway.generationId`, 'is missing: it names the event');
    }
    const given = objectOf(call.usage);
    if (given === null) return refused(`${path}.usage`, "must be the AI SDK's usage");
    const usage = keepCounts(given);
    const written = objectOf(metadata.anthropic)?.cacheCreationInputTokens;
    const isV6 = detectFormat(usage) === 'ai_sdk.v6';
    if (!isV6 && typeof written === 'number') usage.cacheCreationInputTokens = written;

    const routing = objectOf(gateway.routing) ?? {};
    const attempt = answeringAttempt(routing);
    const response = objectOf(call.response) ?? {};
    const provider =
      stringOf(attempt?.provider) ?? stringOf(routing.finalProvider) ?? stringOf(routing.resolvedProvider);
    const cost = gatewayCost(gateway);
    const event = withoutUndefined({
      ...added,
      event_id: foreignEventId('vercel', id),
      provider: provider === undefined ? undefined : catalogProvider(provider),
      model_id:
        stringOf(attempt?.providerApiModelId) ??
        stringOf(routing.resolvedProviderApiModelId) ??
        stringOf(response.modelId),
      occurred_at: added.occurred_at ?? stringOf(response.timestamp),
      provider_usage: { format: isV6 ? 'ai_sdk.v6' : 'ai_sdk.v5', usage },
      reported_cost: cost === null ? undefined : { amount: cost, currency: 'usd' },
    });
    return { event, marks: attempt?.credentialType === 'byok' ? ['byok'] : [] };
  });
}
