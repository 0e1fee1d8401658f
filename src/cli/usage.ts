import type { Command } from 'commander';
import { PAGE_DEFAULT_COUNT } from '../limits.js';
import type { UsageReviewView } from '../reconciliation/usage-review.js';
import { ApiClient, apiPath, findSourceConnection } from './api-client.js';
import { type CommandContext, connect, describe, print } from './context.js';
import { registerVoid } from './corrections.js';
import type { CsvOptions } from './csv-event.js';
import { CommandFailure, EXIT_FAILED, EXIT_USAGE } from './exit-codes.js';
import { fields, json, table } from './output.js';

interface ImportFlags {
  format?: string;
  map: Record<string, string>;
  set: Record<string, string>;
  ignore: string[];
  idFrom: string[];
  dryRun?: boolean;
  state?: string;
  report?: string;
  restart?: boolean;
  json?: boolean;
}

/** `costplus usage trail`, `review`, `import` and `void`. */
export function registerUsage(program: Command, context: CommandContext): void {
  const usage = program.command('usage').description('usage events');
  registerVoid(usage, context);
  describe(
    usage
      .command('trail')
      .description('everything that became of one event: received, priced, charged, billed')
      .argument('<customer>')
      .argument('<event>'),
    ['usage trail acme evt_1'],
  ).action(async (customer: string, event: string, options: { json?: boolean }) => {
    const trail = await (await connect(context)).get(apiPath('/v1/usage/{}/{}', customer, event));
    print(context, options, trail, json);
  });

  describe(
    usage
      .command('review')
      .description('priced usage whose model was not found by its exact name, or whose service tier has no price')
      .option('--customer <customer>', 'of this customer')
      .option('--how <how>', 'exact (then the tier is the reason), alias, rule or fallback_provider')
      .option('--from <date>', 'of periods that start from then on')
      .option('--limit <count>', 'at most so many', String(PAGE_DEFAULT_COUNT)),
    ['usage review', 'usage review --how rule --from 2026-11-01'],
  ).action(async (options: { customer?: string; how?: string; from?: string; limit: string; json?: boolean }) => {
    const limit = Number(options.limit);
    if (!Number.isSafeInteger(limit) || limit < 1) throw new CommandFailure(EXIT_USAGE, '--limit must be 1 or more.');
    const query = { customer_id: options.customer, how: options.how, from: options.from };
    const found = await (await connect(context)).list('/v1/usage-review', query, limit);
    print(context, options, found as UsageReviewView[], renderReview);
  });

  describe(
    usage
      .command('import')
      .description('send the usage events of a JSONL or CSV file; run again, it goes on where it stopped')
      .argument('<file>'),
    [
      'usage import events.jsonl --dry-run',
      'usage import march.csv --map model=model_id --map tokens_in=input_tokens --set customer_id=acme',
    ],
  )
    .option('--format <format>', 'jsonl or csv (default: by the name of the file)')
    .option('--map <column=field>', 'the field that a column holds', pairs('--map'), {})
    .option('--set <field=value>', 'a field that is the same in every row', pairs('--set'), {})
    .option('--ignore <column>', 'a column that is not usage', gather, [])
    .option('--id-from <column>', 'a column that names the event together with the others given', gather, [])
    .option('--dry-run', 'read and check everything, send nothing')
    .option('--state <file>', 'where it keeps how far it is (default: <file>.import-state)')
    .option('--report <file>', 'where refused rows are listed (default: <file>.refused.jsonl)')
    .option('--restart', 'forget how far it came')
    .action((path: string, options: ImportFlags) => runImport(context, path, options));
}

function renderReview(groups: UsageReviewView[]): string {
  if (groups.length === 0) return 'Nothing to look at.\n';
  return table(
    ['provider', 'model', 'priced as', 'how', 'tier without price', 'events', 'customers'],
    groups.map(({ provider, model_id, priced_as, how, unpriced_tier, events, customers }) => [
      provider,
      model_id,
      priced_as,
      how,
      unpriced_tier,
      events,
      customers,
    ]),
  );
}

async function runImport(context: CommandContext, path: string, options: ImportFlags): Promise<void> {
  const { importUsage } = await import('./import-usage.js');
  const { readCsv, readJsonLines } = await import('./import-rows.js');
  const { fingerprintOf, newState, readState, removeState } = await import('./import-state.js');
  const { ProgressBar } = await import('./progress-bar.js');
  const format = options.format ?? (/\.csv$/i.test(path) ? 'csv' : 'jsonl');
  if (format !== 'csv' && format !== 'jsonl') throw new CommandFailure(EXIT_USAGE, '--format is jsonl or csv.');
  const csv: CsvOptions = { map: options.map, set: options.set, ignore: options.ignore, idFrom: options.idFrom };
  const api = options.dryRun ? null : new ApiClient(await findSourceConnection(context.environment));
  const { file, bytes } = await fingerprintOf(path);
  const statePath = options.state ?? `${path}.import-state`;
  const reportPath = options.report ?? `${path}.refused.jsonl`;
  if (options.restart) await removeState(statePath);
  const state = options.dryRun ? newState(file) : await readState(statePath, file);
  const resumedAt = state.rows;
  const { isTTY, columns } = process.stderr;
  const bar = new ProgressBar({ isTTY: isTTY === true, columns: columns ?? 80, write: context.output.error });
  const rows = format === 'csv' ? readCsv(path, csv) : readJsonLines(path);
  await importUsage({ file: rows, fileBytes: bytes, state, statePath, reportPath, api, bar });
  if (!options.dryRun) await removeState(statePath);
  print(
    context,
    options,
    {
      rows: state.rows,
      ...(resumedAt === 0 ? {} : { resumed_after: resumedAt }),
      ...state.results,
      refused: state.refused,
      report: reportPath,
    },
    fields,
  );
  if (state.refused > 0) {
    throw new CommandFailure(
      EXIT_FAILED,
      `${state.refused} of ${state.rows} rows are refused; ${reportPath} says why.`,
    );
  }
}

function gather(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Collects `name=value` options; the first `=` parts them. */
function pairs(option: string) {
  return (text: string, before: Record<string, string>): Record<string, string> => {
    const at = text.indexOf('=');
    if (at < 1) throw new CommandFailure(EXIT_USAGE, `${option} is written name=value.`);
    return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
  };
}
