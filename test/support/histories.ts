import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

type History = Parameters<typeof historyToJSON>[0];

/** Where test/replay finds the histories that workflow code has to replay. */
export const HISTORIES = fileURLToPath(new URL('../fixtures/histories/', import.meta.url));

/** What names the machine that recorded it; replaying does not read it. */
const OF_THE_MACHINE: Record<string, unknown> = { identity: 'worker', stackTrace: '' };

/**
 * Keeps the history of a run for test/replay, where SAVE_HISTORIES is set:
 * `SAVE_HISTORIES=1 npx vitest run test/workflows`.
 */
export async function saveHistory(run: { fetchHistory: () => Promise<History> }, name: string): Promise<void> {
  if (!process.env.SAVE_HISTORIES) return;
  const history: unknown = JSON.parse(historyToJSON(await run.fetchHistory()), (key, value) =>
    key in OF_THE_MACHINE ? OF_THE_MACHINE[key] : value,
  );
  await writeFile(`${HISTORIES}${name}.json`, `${JSON.stringify(history, null, 2)}\n`);
}
