import { readFile } from 'node:fs/promises';
import type { CatalogVersionBody } from '../contracts/catalog.js';

const FILE = new URL('./bundled/catalog-v1.json', import.meta.url);

/** Who published the bundled prices. */
export const BUNDLED_SOURCE = '@pydantic/genai-prices';

/** What version 1 says about itself. */
export function bundledNote(packageVersion: string): string {
  return `Prices of ${BUNDLED_SOURCE} ${packageVersion} (MIT)`;
}

/** What a row of prices says where it leaves these keys out (contracts/catalog.ts); most rows do. */
const PRICE_DEFAULTS = { per: 1, currency: 'usd' };

/** The catalog that comes with costplus: version 1 of every new database, and what works without one. */
export async function readBundledCatalog(): Promise<CatalogVersionBody> {
  // Written by the importer and compared with a fresh import by a test, so it is not validated at each start.
  const body = JSON.parse(await readFile(FILE, 'utf8')) as CatalogVersionBody;
  for (const row of body.prices) {
    row.per ??= PRICE_DEFAULTS.per;
    row.currency ??= PRICE_DEFAULTS.currency;
  }
  return body;
}

/** A body as the bundled file holds it: one row a line, so that a review of an import reads as a list of rows. */
export function formatCatalogFile(body: CatalogVersionBody): string {
  const prices = body.prices.map(({ per, currency, ...row }) => ({
    ...row,
    ...(per === PRICE_DEFAULTS.per ? {} : { per }),
    ...(currency === PRICE_DEFAULTS.currency ? {} : { currency }),
  }));
  const lists = Object.entries({
    prices,
    aliases: body.aliases,
    match_rules: body.match_rules,
    models: body.models,
    fallback_providers: body.fallback_providers,
  }).map(([name, list]) => {
    const rows = list.map((row) => JSON.stringify(row)).join(',\n');
    return `"${name}":[${rows === '' ? '' : `\n${rows}\n`}]`;
  });
  return `{"note":${JSON.stringify(body.note)},\n${lists.join(',\n')}}\n`;
}
