import { calcPrice } from '@pydantic/genai-prices';
import { readBundledCatalog } from '../src/catalog/bundled-catalog.js';
import { Catalog } from '../src/catalog/catalog.js';
import { createPricer } from '../src/pricing/price-events.js';
import type { UsageRow } from '../src/pricing/pricing-result.js';
import { describeMachine } from './machine.js';

const EVENTS = 200_000;
const ROUNDS = 5;
const MODELS = [
  ['anthropic', 'claude-sonnet-4-5'],
  ['anthropic', 'claude-opus-4-1'],
  ['openai', 'gpt-5'],
  ['openai', 'gpt-4o-mini'],
  ['google', 'gemini-2.5-flash'],
  ['google', 'gemini-2.5-pro'],
  ['mistral', 'mistral-medium-latest'],
  ['deepseek', 'deepseek-chat'],
] as const;

/** Events as a month of traffic has them: eight models, three meters, spread over 30 days. */
function makeEvents(): UsageRow[] {
  const start = Date.UTC(2026, 9, 1);
  return Array.from({ length: EVENTS }, (_, i) => {
    const [provider, model_id] = MODELS[(i * 7) % MODELS.length]!;
    return {
      event_id: `evt_${i}`,
      occurred_at_ms: start + ((i * 7_919) % 2_592_000) * 1_000,
      source_id: 'gateway',
      provider,
      provider_hint: null,
      model_id,
      usage: { input_tokens: 200 + (i % 3_000), cache_read_tokens: 50 + (i % 1_000), output_tokens: 20 + (i % 700) },
      held_reason: null,
      feature: i % 2 === 0 ? 'report' : 'chat',
      subscription_item_id: null,
      region: null,
      service_tier: null,
      dimensions: null,
      marks: null,
      paid_by: null,
      reported_cost: null,
    };
  });
}

/** Events a second of the best of several rounds: the first ones run cold code. */
function bestRate(round: () => void): number {
  let best = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const started = process.hrtime.bigint();
    round();
    best = Math.max(best, EVENTS / (Number(process.hrtime.bigint() - started) / 1e9));
  }
  return best;
}

/** Exact pricing of events on one thread against `calcPrice` of the price package on the same events. */
export async function run(): Promise<void> {
  const catalog = Catalog.fromBody(await readBundledCatalog());
  const events = makeEvents();
  const price = (attributes: string[]) => () => {
    const pricer = createPricer(catalog, {
      catalog_version: 1,
      assignments: [{ plan_id: 'pro', version: 1, from: null }],
      attributes,
    });
    for (const event of events) pricer.add(event);
    const { held, events: count } = pricer.result();
    if (held.length > 0 || count !== EVENTS) throw new Error('the events were meant to be priced');
  };
  const plain = bestRate(price([]));
  const grouped = bestRate(price(['feature']));
  const package_ = bestRate(() => {
    for (const { provider, model_id, occurred_at_ms, usage } of events) {
      const { input_tokens, cache_read_tokens, output_tokens } = usage as Record<string, number>;
      const counts = { input_tokens: input_tokens! + cache_read_tokens!, cache_read_tokens, output_tokens };
      calcPrice(counts, model_id, { providerId: provider!, timestamp: new Date(occurred_at_ms) });
    }
  });
  const rate = (value: number) => `${Math.round(value).toLocaleString('en-US')} events/s`;
  console.log(`pricing: ${describeMachine()}`);
  console.log(`  ${EVENTS} events, ${MODELS.length} models, 3 meters each, best of ${ROUNDS} rounds, one thread`);
  console.log(`  createPricer              ${rate(plain)}`);
  console.log(`  createPricer, by feature  ${rate(grouped)}`);
  console.log(`  calcPrice of the package  ${rate(package_)}`);
  console.log(`  ratio                     ${(plain / package_).toFixed(1)} x`);
}
