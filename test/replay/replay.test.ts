import { readdir, readFile } from 'node:fs/promises';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { expect, it } from 'vitest';
import { HISTORIES } from '../support/histories.js';
import { workflowBundle } from '../support/worker.js';

/**
 * Runs that stand at customers for a month meet new workflow code: every saved history must replay. A change that
 * breaks one needs `patched`; a new shape of history is saved with `SAVE_HISTORIES=1 npx vitest run test/workflows`.
 */
it('replays every saved history with the workflow code of today', async () => {
  const names = (await readdir(HISTORIES)).filter((name) => name.endsWith('.json'));
  expect(names.length).toBeGreaterThanOrEqual(7);
  const histories = await Promise.all(
    names.map(async (name) => ({
      workflowId: `replay-${name}`,
      history: historyFromJSON(JSON.parse(await readFile(HISTORIES + name, 'utf8'))),
    })),
  );
  const failed: string[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: await workflowBundle() },
    histories,
  )) {
    if (error) failed.push(`${workflowId}: ${error.message}`);
  }
  expect(failed).toEqual([]);
});

it('tells a history that the code would not have made', async () => {
  const history = JSON.parse(await readFile(`${HISTORIES}closed.json`, 'utf8'));
  const scheduled = history.events.find(
    (event: { activityTaskScheduledEventAttributes?: { activityType: { name: string } } }) =>
      event.activityTaskScheduledEventAttributes?.activityType.name === 'sealPeriod',
  );
  scheduled.activityTaskScheduledEventAttributes.activityType.name = 'submitInvoice';
  await expect(
    Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, historyFromJSON(history)),
  ).rejects.toThrow(/nondeterminism/i);
});
