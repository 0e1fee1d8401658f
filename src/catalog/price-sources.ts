import { z } from 'zod';
import { modelSchema } from '../contracts/ids.js';
import { PRICE_SOURCE_NAMES, type PriceSourceName } from '../contracts/price-proposal.js';
import { CostplusError } from '../errors/error.js';

/** A configured price source: where its document is, and the providers that are taken from it. */
export interface PriceSource {
  source: PriceSourceName;
  /** An http or https URL, or the path of a file. */
  from: string;
  /** Null: the providers that the catalog has. */
  providers: string[] | null;
}

const listSchema = z
  .array(
    z
      .strictObject({
        source: z.enum(PRICE_SOURCE_NAMES),
        from: z.string().min(1).max(2_000),
        providers: z.array(modelSchema).min(1).max(200).nullable().default(null),
      })
      .readonly(),
  )
  .max(PRICE_SOURCE_NAMES.length);

/**
 * PRICE_SOURCES: `litellm=https://..., models.dev=/etc/prices.json`, or a JSON list of `{source, from, providers?}`.
 * Throws `configuration`, without the value: a URL can hold a token.
 */
export function parsePriceSources(text: string | undefined): PriceSource[] {
  if (text === undefined || text.trim() === '') return [];
  const parsed = listSchema.safeParse(text.trim().startsWith('[') ? readJson(text) : readPairs(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw faulty(
      `${issue?.path.join('.') || 'the list'}: ${issue?.code === 'custom' ? issue.message : 'is not valid'}`,
    );
  }
  const names = parsed.data.map(({ source }) => source);
  if (new Set(names).size < names.length) throw faulty('a source stands there twice');
  return [...parsed.data];
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw faulty('it is not valid JSON');
  }
}

function readPairs(text: string): { source: string; from: string }[] {
  return text.split(',').map((pair) => {
    const at = pair.indexOf('=');
    if (at < 0) throw faulty('each source is written name=URL or name=file');
    return { source: pair.slice(0, at).trim(), from: pair.slice(at + 1).trim() };
  });
}

function faulty(detail: string): CostplusError {
  const names = PRICE_SOURCE_NAMES.join(', ');
  return new CostplusError('configuration', `Check the environment. PRICE_SOURCES: ${detail}. Sources are ${names}.`);
}
