import type { CatalogVersionBody } from '../contracts/catalog.js';
import type { Client } from '../database/pool.js';
import { ALWAYS, instantIso } from './catalog-data.js';

/** Boundaries are whole milliseconds here and in events; a finer instant is floored. */
function instant(text: string | undefined): string | null {
  return text === undefined ? null : instantIso(text);
}

/** Writes a version's price rows, in the order of its body. */
export async function insertPrices(client: Client, version: number, rows: CatalogVersionBody['prices']): Promise<void> {
  if (rows.length === 0) return;
  await client.query(
    `INSERT INTO catalog_prices (version, ordinal, provider, model_id, meter, price, per, currency, same_as, is_free,
       per_event, effective_from, effective_to, context_over, daily_from, daily_to, supersede, raw_price,
       service_tier, region, book)
     SELECT $1, ordinal - 1, provider, model_id, meter, price, per, currency, same_as, is_free,
       per_event, effective_from, effective_to, context_over, daily_from, daily_to, supersede, raw_price,
       service_tier, region, book
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::boolean[],
       $10::boolean[], $11::timestamptz[], $12::timestamptz[], $13::bigint[], $14::time[], $15::time[], $16::boolean[],
       $17::text[], $18::text[], $19::text[], $20::text[])
       WITH ORDINALITY AS row (provider, model_id, meter, price, per, currency, same_as, is_free, per_event,
         effective_from, effective_to, context_over, daily_from, daily_to, supersede, raw_price, service_tier, region, book, ordinal)
     ORDER BY ordinal`,
    [
      version,
      rows.map((row) => row.provider),
      rows.map((row) => row.model_id),
      rows.map((row) => row.meter),
      rows.map((row) => row.price ?? null),
      rows.map((row) => row.per),
      rows.map((row) => row.currency),
      rows.map((row) => row.same_as ?? null),
      rows.map((row) => row.free ?? false),
      rows.map((row) => row.per_event ?? false),
      rows.map((row) => instant(row.effective_from)),
      rows.map((row) => instant(row.effective_to)),
      rows.map((row) => row.context_over ?? null),
      rows.map((row) => row.daily_window?.from ?? null),
      rows.map((row) => row.daily_window?.to ?? null),
      rows.map((row) => row.supersede ?? false),
      rows.map((row) => row.raw_price ?? null),
      rows.map((row) => row.service_tier ?? null),
      rows.map((row) => row.region ?? null),
      rows.map((row) => row.book ?? null),
    ],
  );
}

/** Writes what a version says about names: models, aliases, match rules, fallback providers. */
export async function insertNames(client: Client, version: number, body: CatalogVersionBody): Promise<void> {
  const { models, aliases, match_rules: rules } = body;
  await client.query(
    `INSERT INTO catalog_models (version, provider, model_id, name, deprecated, is_free, successor)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::text[])`,
    [
      version,
      models.map((model) => model.provider),
      models.map((model) => model.model_id),
      models.map((model) => model.name ?? null),
      models.map((model) => model.deprecated ?? false),
      models.map((model) => model.free ?? false),
      models.map((model) => model.successor ?? null),
    ],
  );
  await client.query(
    `INSERT INTO catalog_aliases (version, provider, alias, model_id, effective_from, effective_to, note)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[])`,
    [
      version,
      aliases.map((alias) => alias.provider),
      aliases.map((alias) => alias.alias),
      aliases.map((alias) => alias.model_id),
      aliases.map((alias) => instant(alias.effective_from ?? ALWAYS)),
      aliases.map((alias) => instant(alias.effective_to)),
      aliases.map((alias) => alias.note ?? null),
    ],
  );
  await client.query(
    `INSERT INTO catalog_match_rules (version, ordinal, provider, clause, model_id)
     SELECT $1, ordinal - 1, provider, clause, model_id
     FROM unnest($2::text[], $3::jsonb[], $4::text[]) WITH ORDINALITY AS rule (provider, clause, model_id, ordinal)`,
    [
      version,
      rules.map((rule) => rule.provider),
      rules.map((rule) => JSON.stringify(rule.clause)),
      rules.map((rule) => rule.model_id),
    ],
  );
  const fallbacks = body.fallback_providers.flatMap(({ provider, fallback_providers }) =>
    fallback_providers.map((fallback, ordinal) => ({ provider, ordinal, fallback })),
  );
  await client.query(
    `INSERT INTO catalog_fallback_providers (version, provider, ordinal, fallback_provider)
     SELECT $1, * FROM unnest($2::text[], $3::integer[], $4::text[])`,
    [
      version,
      fallbacks.map((entry) => entry.provider),
      fallbacks.map((entry) => entry.ordinal),
      fallbacks.map((entry) => entry.fallback),
    ],
  );
}

/** Writes a version's multipliers and which sources have which price book. */
export async function insertMultipliers(client: Client, version: number, body: CatalogVersionBody): Promise<void> {
  const { multipliers = [], source_books: books = [] } = body;
  for (const [ordinal, row] of multipliers.entries()) {
    await client.query(
      `INSERT INTO catalog_multipliers (version, ordinal, provider, model_id, service_tier, region, book, meters,
         multiplier, effective_from, effective_to, supersede)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        version,
        ordinal,
        row.provider,
        row.model_id ?? null,
        row.service_tier ?? null,
        row.region ?? null,
        row.book ?? null,
        row.meters ?? null,
        row.multiplier,
        instant(row.effective_from),
        instant(row.effective_to),
        row.supersede ?? false,
      ],
    );
  }
  await client.query(
    `INSERT INTO catalog_source_books (version, source_id, book, effective_from)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[])`,
    [
      version,
      books.map((entry) => entry.source_id),
      books.map((entry) => entry.book),
      books.map((entry) => instant(entry.effective_from)),
    ],
  );
}
