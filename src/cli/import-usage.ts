import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventResult } from '../contracts/event-result.js';
import { IMPORT_BATCH_BYTES, IMPORT_BATCH_EVENTS_COUNT, IMPORT_RETRIES_COUNT } from '../limits.js';
import { parseUsageEvent } from '../usage/parse-event.js';
import type { ApiClient } from './api-client.js';
import { CommandFailure, EXIT_UNREACHABLE } from './exit-codes.js';
import type { ImportFile, ImportRow } from './import-rows.js';
import { type ImportState, writeState } from './import-state.js';
import type { ProgressBar } from './progress-bar.js';

export interface ImportOptions {
  file: ImportFile;
  fileBytes: number;
  state: ImportState;
  statePath: string;
  /** A line of JSON for each refused row. */
  reportPath: string;
  /** Null: nothing is sent, and only what can be seen without a server is checked. */
  api: Pick<ApiClient, 'post'> | null;
  bar: ProgressBar;
  /** The pause before the n-th repetition of a request that was not answered, in milliseconds. */
  pauseMs?: (attempt: number) => number;
}

interface Pending {
  line: number;
  event: unknown;
}

const REFUSED: ReadonlySet<string> = new Set(['rejected', 'conflict']);

/**
 * Sends the rows of a file in batches, one after the other, and keeps where it stands after each answer: run again, it
 * goes on there. Rows that were sent without an answer are sent again; the server knows them, and nothing counts twice.
 * Throws what the API client throws, after IMPORT_RETRIES_COUNT repetitions where no server answered.
 */
export async function importUsage(options: ImportOptions): Promise<ImportState> {
  const { state, api, bar } = options;
  const report = await open(options.reportPath, state.line === 0 ? 'w' : 'a');
  const doneLine = state.line;
  let refusedRows: object[] = [];
  let batch: Pending[] = [];
  let batchBytes = 0;
  let lastLine = doneLine;
  let notSent = 0;

  const flush = async () => {
    const results = batch.length === 0 ? [] : await resultsOf(api, batch, options.pauseMs ?? pauseMs);
    for (const [at, result] of results.entries()) {
      state.results[result.status] = (state.results[result.status] ?? 0) + 1;
      if (REFUSED.has(result.status)) refusedRows.push({ line: batch[at]!.line, ...result, ...ownField(result, at) });
    }
    state.line = lastLine;
    state.rows += batch.length + notSent;
    state.refused += refusedRows.length;
    if (refusedRows.length > 0) {
      await report.appendFile(refusedRows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    }
    [refusedRows, batch, batchBytes, notSent] = [[], [], 0, 0];
    if (api !== null) await writeState(options.statePath, state);
    bar.show(options.file.bytesRead() / Math.max(options.fileBytes, 1), state.rows);
  };

  try {
    for await (const row of options.file.rows) {
      if (row.line <= doneLine) continue;
      lastLine = row.line;
      const refusal = refusalOf(row);
      if (refusal) {
        refusedRows.push(refusal);
        notSent++;
      } else {
        batch.push({ line: row.line, event: row.event });
        batchBytes += JSON.stringify(row.event).length;
      }
      if (batch.length + notSent >= IMPORT_BATCH_EVENTS_COUNT || batchBytes >= IMPORT_BATCH_BYTES) await flush();
    }
    await flush();
  } finally {
    await report.close();
    bar.clear();
  }
  return state;
}

/** A row that is refused without asking the server. */
function refusalOf(row: ImportRow): object | null {
  if (row.fault !== undefined) return { line: row.line, event_id: null, status: 'rejected', detail: row.fault };
  const parsed = parseUsageEvent(row.event, '');
  if (!('rejected' in parsed)) return null;
  const { field, reason } = parsed.rejected;
  return { line: row.line, event_id: null, status: 'rejected', field: field.replace(/^\./, ''), detail: reason };
}

/** The field of a result without the place of the event in its request. */
function ownField(result: EventResult, at: number): { field?: string } {
  return result.field === undefined ? {} : { field: result.field.replace(`events[${at}].`, '') };
}

async function resultsOf(
  api: ImportOptions['api'],
  batch: readonly Pending[],
  pause: (attempt: number) => number,
): Promise<EventResult[]> {
  if (api === null) return [];
  const events = batch.map(({ event }) => event);
  for (let attempt = 1; ; attempt++) {
    try {
      return ((await api.post('/v1/usage', { events })) as { results: EventResult[] }).results;
    } catch (error) {
      const unreachable = error instanceof CommandFailure && error.exitCode === EXIT_UNREACHABLE;
      if (!unreachable || attempt > IMPORT_RETRIES_COUNT) throw error;
      await sleep(pause(attempt));
    }
  }
}

function pauseMs(attempt: number): number {
  return Math.random() * 500 * 2 ** attempt;
}
