import { type Command, InvalidArgumentError } from 'commander';
import type { ExchangeRate, ExchangeRateBody, PublishedRates } from '../contracts/exchange-rate.js';
import { PAGE_DEFAULT_COUNT } from '../limits.js';
import { type CommandContext, connect, describe, parseCount, print, readTextFile } from './context.js';
import { table } from './output.js';
import { type RatesAsked, readRates } from './rates-file.js';

interface PublishFlags {
  from: string;
  to: string;
  rate: string;
  effectiveFrom?: string;
  note?: string;
  json?: boolean;
}

interface ImportFlags extends RatesAsked {
  dryRun?: boolean;
  json?: boolean;
}

/** `costplus exchange-rates publish`, `list` and `import`. */
export function registerExchangeRates(program: Command, context: CommandContext): void {
  const rates = program.command('exchange-rates').description('what catalog currencies are in those of invoices');

  describe(rates.command('publish').description('publish one rate; a later one for the same instant replaces it'), [
    'exchange-rates publish --from usd --to gbp --rate 0.7892 --effective-from 2026-11-01T00:00:00Z',
  ])
    .requiredOption('--from <currency>', 'one unit of this', currency)
    .requiredOption('--to <currency>', 'is so many of this', currency)
    .requiredOption('--rate <rate>', 'a decimal such as 0.7892')
    .option('--effective-from <time>', 'in force from then on, RFC 3339; now where it is left out')
    .option('--note <text>', 'where it was taken from, for the books')
    .action(async ({ from, to, rate, effectiveFrom, note, ...options }: PublishFlags) => {
      const effective_from = effectiveFrom ?? new Date().toISOString();
      const body = { from, to, rate, effective_from, ...(note === undefined ? {} : { source: note }) };
      const answer = await (await connect(context)).post('/v1/exchange-rates', { rates: [body] });
      print(context, options, (answer as PublishedRates).data, renderRates);
    });

  describe(
    rates
      .command('list')
      .description(
        'published rates, the last published first (by when they were published, not by when they hold from)',
      ),
    ['exchange-rates list --from usd --to gbp', 'exchange-rates list --limit 500 --json'],
  )
    .option('--from <currency>', 'from this currency only', currency)
    .option('--to <currency>', 'into this currency only', currency)
    .option('--limit <count>', 'at most this many', parseCount, PAGE_DEFAULT_COUNT)
    .action(async ({ from, to, limit, ...options }: { from?: string; to?: string; limit: number; json?: boolean }) => {
      const api = await connect(context);
      const found = (await api.list('/v1/exchange-rates', { from, to }, limit)) as ExchangeRate[];
      print(context, options, found, renderRates);
    });

  describe(
    rates
      .command('import')
      .description('publish all rates of a file (- reads standard input), or none: CSV, or a list of the ECB')
      .argument('<file>'),
    [
      'exchange-rates import rates.csv',
      'exchange-rates import eurofxref-hist.csv --from usd --to gbp --since 2026-10-01',
      'exchange-rates import eurofxref-daily.xml --from usd --to eur --places 8 --dry-run',
    ],
  )
    .option('--from <currency>', 'of a list of the ECB: one unit of this', currency)
    .option('--to <currency>', 'of a list of the ECB: in units of this', currency)
    .option('--places <count>', 'digits of a quotient of two rates, rounded half away from zero', parsePlaces, 6)
    .option('--since <date>', 'of a list of the ECB: from this day on', parseDate)
    .option('--time <hh:mm>', 'of a list of the ECB: in force from this time of its day, UTC', parseTime, '16:00')
    .option('--dry-run', 'show what would be published')
    .action(async (file: string, options: ImportFlags) => {
      const read = readRates(await readTextFile(file), options);
      if (options.dryRun) return print(context, options, read, renderRead);
      const body = { rates: read, on_published: 'keep' };
      const answer = await (await connect(context)).post('/v1/exchange-rates', body);
      print(context, options, answer as PublishedRates, ({ data, unchanged }) => {
        const known = unchanged === 0 ? '' : ` ${unchanged} were there already.`;
        return `${data.length} published.${known}\n`;
      });
    });
}

function renderRates(rates: ExchangeRate[]): string {
  if (rates.length === 0) return 'No exchange rates.\n';
  return table(
    ['from', 'to', 'rate', 'in force from', 'note', 'published by'],
    rates.map((one) => [one.from, one.to, one.rate, one.effective_from, one.source, one.published_by]),
  );
}

function renderRead(rates: ExchangeRateBody[]): string {
  return table(
    ['from', 'to', 'rate', 'in force from', 'note'],
    rates.map((one) => [one.from, one.to, one.rate, one.effective_from, one.source]),
  );
}

function currency(text: string): string {
  if (!/^[A-Za-z]{3}$/.test(text)) throw new InvalidArgumentError('must be a currency such as usd');
  return text.toLowerCase();
}

function parsePlaces(text: string): number {
  if (!/^(\d|1\d|2[0-4])$/.test(text)) throw new InvalidArgumentError('must be a whole number from 0 to 24');
  return Number(text);
}

function parseDate(text: string): string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) throw new InvalidArgumentError('must be a date such as 2026-11-01');
  return text;
}

function parseTime(text: string): string {
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(text)) throw new InvalidArgumentError('must be a time such as 16:00');
  return text;
}
