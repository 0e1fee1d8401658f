import type { Provider } from '@pydantic/genai-prices';
import type { PriceCandidates, PriceSourceName } from '../contracts/price-proposal.js';
import { CostplusError } from '../errors/error.js';
import { CandidateList } from './candidate-list.js';
import { Catalog } from './catalog.js';
import { instantMs } from './catalog-data.js';
import { importGenaiPrices } from './import-genai-prices.js';
import { importLitellm } from './import-litellm.js';
import { importModelsDev } from './import-models-dev.js';
import { importOpenrouter } from './import-openrouter.js';

/** What a source's document says of the prices at an instant. Throws `invalid_price_document`. */
export function readCandidates(source: PriceSourceName, document: unknown, at: string): PriceCandidates {
  switch (source) {
    case 'litellm':
      return importLitellm(document, at);
    case 'models.dev':
      return importModelsDev(document);
    case 'openrouter':
      return importOpenrouter(document, at);
    case 'genai-prices':
      return genaiCandidates(document, at);
  }
}

/** The providers of genai-prices have a history of their own: the rows of it that are in force at the instant. */
function genaiCandidates(document: unknown, at: string): PriceCandidates {
  const list = new CandidateList('genai-prices');
  const body = importedGenai(document);
  const catalog = Catalog.fromBody(body);
  for (const { provider, model_id } of catalog.models()) {
    for (const row of catalog.allPrices(provider, model_id).spanAt(instantMs(at)).rows) {
      const { meter, price, same_as, per, currency, context_over, daily_window } = row;
      list.addRow(
        {
          provider,
          model_id,
          meter,
          ...(price === null ? {} : { price }),
          ...(same_as === null ? {} : { same_as }),
          per,
          currency,
          ...(context_over === null ? {} : { context_over }),
          ...(daily_window === null ? {} : { daily_window }),
          ...(row.per_event ? { per_event: true } : {}),
        },
        meter,
      );
    }
  }
  for (const { provider, model_id, deprecated } of body.models) if (deprecated) list.deprecate(provider, model_id);
  return list.result();
}

function importedGenai(document: unknown): ReturnType<typeof importGenaiPrices> {
  if (!Array.isArray(document)) {
    throw new CostplusError('invalid_price_document', 'The document is not the list of providers of genai-prices.');
  }
  try {
    return importGenaiPrices(document as Provider[], 'candidates');
  } catch (cause) {
    throw new CostplusError('invalid_price_document', 'The document has a shape that the importer does not know.', {
      cause,
    });
  }
}
