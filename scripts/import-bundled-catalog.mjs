// Writes src/catalog/bundled/catalog-v1.json from the pinned price package. Run `npm run build` before it; a test
// compares the file with a fresh import. New prices belong into a new catalog version: version 1 is history by then.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { waitForUpdate } from '@pydantic/genai-prices';
import { bundledNote, formatCatalogFile } from '../dist/src/catalog/bundled-catalog.js';
import { importGenaiPrices } from '../dist/src/catalog/import-genai-prices.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = createRequire(import.meta.url)
  .resolve('@pydantic/genai-prices')
  .replace(/dist\/.*$/, 'package.json');
const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
const body = importGenaiPrices(await waitForUpdate(), bundledNote(version));
writeFileSync(`${root}src/catalog/bundled/catalog-v1.json`, formatCatalogFile(body));
console.log(`${body.prices.length} price rows of ${body.models.length} models`);
