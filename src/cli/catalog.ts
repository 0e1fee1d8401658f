import type { Command } from 'commander';
import type { ListedAlias } from '../catalog/list-aliases.js';
import type { CatalogVersionSummary } from '../contracts/catalog.js';
import {
  PRICE_SOURCE_NAMES,
  type PriceDiff,
  type PriceSourceName,
  type Proposal,
  type ProposalSummary,
} from '../contracts/price-proposal.js';
import { PAGE_DEFAULT_COUNT } from '../limits.js';
import { apiPath } from './api-client.js';
import {
  type ListedModel,
  type PricesInForce,
  renderAliases,
  renderDiff,
  renderHead,
  renderModels,
  renderPrices,
  renderProposal,
  renderProposals,
  renderVersions,
} from './catalog-tables.js';
import { type CommandContext, connect, describe, print, readJsonFile } from './context.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';

interface ImportOptions {
  source: string;
  file: string;
  at?: string;
  provider?: string[];
  withdrawRemoved?: boolean;
  url?: string;
  json?: boolean;
}

/** `costplus catalog diff|propose|proposals|show|publish|reject|versions|models|price`. */
export function registerCatalog(program: Command, context: CommandContext): void {
  const catalog = program.command('catalog').description('what providers charge');

  describe(
    importOptions(
      catalog.command('diff').description('what a price source would change: in the bundled prices, or in a server’s'),
    ).option('--url <url>', 'compare with the catalog of the server there (key: COSTPLUS_API_KEY)'),
    ['catalog diff --source litellm --file prices.json', 'catalog diff --source models.dev --file api.json --json'],
  ).action(async (options: ImportOptions) => {
    const body = await importBody(options);
    const asked = options.url === undefined ? null : { ...context.environment, COSTPLUS_URL: options.url };
    const diff = asked
      ? await (await connect({ ...context, environment: asked })).post('/v1/catalog/proposals/preview', body)
      : await offlineDiff(body);
    print(context, options, diff as PriceDiff, renderDiff);
  });

  describe(
    importOptions(catalog.command('propose').description('keep what a price source would change, for publishing')),
    ['catalog propose --source litellm --file prices.json --at 2026-12-01T00:00:00Z'],
  ).action(async (options: ImportOptions) => {
    const proposal = await (await connect(context)).post('/v1/catalog/proposals', await importBody(options));
    print(context, options, proposal as Proposal, renderProposal);
  });

  describe(
    catalog
      .command('proposals')
      .description('list price proposals, the newest first')
      .option('--status <status>', 'proposed, published, rejected or superseded')
      .option('--limit <count>', 'at most so many', String(PAGE_DEFAULT_COUNT)),
    ['catalog proposals --status proposed'],
  ).action(async (options: { status?: string; limit: string; json?: boolean }) => {
    const query = { status: options.status };
    const found = await (await connect(context)).list('/v1/catalog/proposals', query, countOf(options.limit));
    print(context, options, found as ProposalSummary[], renderProposals);
  });

  describe(catalog.command('show').description('read a price proposal with its diff').argument('<proposal>'), [
    'catalog show 7',
  ]).action(async (id: string, options: { json?: boolean }) => {
    const found = await (await connect(context)).get(apiPath('/v1/catalog/proposals/{}', id));
    print(context, options, found as Proposal, renderProposal);
  });

  describe(
    catalog
      .command('publish')
      .description('publish a price proposal')
      .argument('<proposal>')
      .option('--without-suspicious', 'leave out what looks wrong'),
    ['catalog publish 7', 'catalog publish 7 --without-suspicious'],
  ).action(async (id: string, options: { withoutSuspicious?: boolean; json?: boolean }) => {
    const body = { without_suspicious: options.withoutSuspicious ?? false };
    const published = await (await connect(context)).post(apiPath('/v1/catalog/proposals/{}/publish', id), body);
    print(context, options, published as Proposal, renderHead);
  });

  describe(
    catalog
      .command('reject')
      .description('reject a price proposal')
      .argument('<proposal>')
      .option('--reason <reason>', 'why, for the audit log'),
    ['catalog reject 7 --reason "a typing error of the source"'],
  ).action(async (id: string, options: { reason?: string; json?: boolean }) => {
    const body = options.reason === undefined ? {} : { reason: options.reason };
    const rejected = await (await connect(context)).post(apiPath('/v1/catalog/proposals/{}/reject', id), body);
    print(context, options, rejected as Proposal, renderHead);
  });

  describe(
    catalog
      .command('versions')
      .description('list catalog versions, the newest first')
      .option('--limit <count>', 'at most so many', String(PAGE_DEFAULT_COUNT)),
    ['catalog versions'],
  ).action(async (options: { limit: string; json?: boolean }) => {
    const found = await (await connect(context)).list('/v1/catalog/versions', {}, countOf(options.limit));
    print(context, options, found as CatalogVersionSummary[], renderVersions);
  });

  describe(
    catalog
      .command('models')
      .description('list models with the meters that have a price now')
      .option('--provider <provider>', 'of this provider')
      .option('--deprecated', 'deprecated ones only')
      .option('--limit <count>', 'at most so many', String(PAGE_DEFAULT_COUNT)),
    ['catalog models --provider anthropic', 'catalog models --deprecated --limit 500'],
  ).action(async (options: { provider?: string; deprecated?: boolean; limit: string; json?: boolean }) => {
    const query = { provider: options.provider, deprecated: options.deprecated ? 'true' : undefined };
    const found = await (await connect(context)).list('/v1/catalog/models', query, countOf(options.limit));
    print(context, options, found as ListedModel[], renderModels);
  });

  describe(
    catalog
      .command('aliases')
      .description('list names that mean other models, with their dates and who published them')
      .option('--provider <provider>', 'of this provider')
      .option('--limit <count>', 'at most so many', String(PAGE_DEFAULT_COUNT)),
    ['catalog aliases --provider anthropic'],
  ).action(async (options: { provider?: string; limit: string; json?: boolean }) => {
    const query = { provider: options.provider };
    const found = await (await connect(context)).list('/v1/catalog/aliases', query, countOf(options.limit));
    print(context, options, found as ListedAlias[], renderAliases);
  });

  describe(
    catalog
      .command('price')
      .description('the prices of a model in force at an instant')
      .argument('<provider>')
      .argument('<model>')
      .option('--at <instant>', 'RFC 3339 (default: now)'),
    ['catalog price anthropic claude-sonnet-4-5', 'catalog price openai gpt-5 --at 2026-11-01T12:00:00Z'],
  ).action(async (provider: string, model: string, options: { at?: string; json?: boolean }) => {
    const query = { provider, model_id: model, at: options.at };
    const found = await (await connect(context)).get('/v1/catalog/price', query);
    print(context, options, found as PricesInForce, renderPrices);
  });
}

function importOptions(command: Command): Command {
  return command
    .requiredOption('--source <source>', PRICE_SOURCE_NAMES.join(', '))
    .requiredOption('--file <file>', 'the source’s document as JSON (-: standard input)')
    .option('--at <instant>', 'from when the prices are to apply, RFC 3339 (default: now)')
    .option('--provider <provider...>', 'only of these providers (default: those that the catalog has)')
    .option('--withdraw-removed', 'withdraw prices that the source does not list any more');
}

interface ImportBody {
  source: PriceSourceName;
  document: unknown;
  effective_from: string;
  providers?: string[];
  withdraw_removed: boolean;
}

async function importBody(options: ImportOptions): Promise<ImportBody> {
  const source = PRICE_SOURCE_NAMES.find((name) => name === options.source);
  if (source === undefined) {
    throw new CommandFailure(EXIT_USAGE, `--source must be one of ${PRICE_SOURCE_NAMES.join(', ')}.`);
  }
  const { instantSchema } = await import('../contracts/ids.js');
  const at = options.at ?? new Date().toISOString();
  if (!instantSchema.safeParse(at).success) {
    throw new CommandFailure(EXIT_USAGE, '--at must be an RFC 3339 time such as 2026-12-01T00:00:00Z.');
  }
  return {
    source,
    document: await readJsonFile(options.file),
    effective_from: at,
    ...(options.provider === undefined ? {} : { providers: options.provider }),
    withdraw_removed: options.withdrawRemoved ?? false,
  };
}

async function offlineDiff({ source, document, effective_from, ...asked }: ImportBody): Promise<PriceDiff> {
  const { Catalog } = await import('../catalog/catalog.js');
  const { readBundledCatalog } = await import('../catalog/bundled-catalog.js');
  const { readCandidates } = await import('../catalog/read-candidates.js');
  const { onlyProviders, proposePrices } = await import('../catalog/propose.js');
  const catalog = Catalog.fromBody(await readBundledCatalog());
  const providers = asked.providers ?? catalog.models().map(({ provider }) => provider);
  const candidates = onlyProviders(readCandidates(source, document, effective_from), new Set(providers));
  // The bundled prices are those of genai-prices: only its own silence says that one of them is gone.
  const own_versions = new Set(source === 'genai-prices' ? [1] : []);
  const { withdraw_removed } = asked;
  return proposePrices(catalog, candidates, { effective_from, withdraw_removed, others: [], own_versions }).diff;
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new CommandFailure(EXIT_USAGE, '--limit must be 1 or more.');
  return count;
}
