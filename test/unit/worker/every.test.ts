import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { every } from '../../../src/worker/every.js';

describe('a periodic job', () => {
  const warnings: object[] = [];
  const logger = { warn: (fields: object) => void warnings.push(fields) };

  it('runs now and again, never twice at once, whatever becomes of a run', async () => {
    let [runs, atOnce, most] = [0, 0, 0];
    const job = every(
      1,
      async () => {
        runs++;
        most = Math.max(most, ++atOnce);
        await sleep(5);
        atOnce--;
        if (runs === 1) throw new Error('this run failed');
      },
      logger,
    );
    while (runs < 3) await sleep(1);
    await job.stop();
    expect([most, warnings]).toEqual([1, [{ err: new Error('this run failed') }]]);
    const count = runs;
    await sleep(10);
    expect(runs).toBe(count);
  });

  it('is waited for when it is stopped, and told to end', async () => {
    const steps: string[] = [];
    const job = every(
      60_000,
      async (signal) => {
        while (!signal.aborted) await sleep(1);
        steps.push('told');
        await sleep(5);
        steps.push('ended');
      },
      logger,
    );
    await job.stop();
    expect(steps).toEqual(['told', 'ended']);
  });

  it('that does not end is not waited for longer than the grace', async () => {
    let end = () => {};
    const hangs = () =>
      new Promise<void>((resolve) => {
        end = resolve;
      });
    const job = every(60_000, hangs, logger);
    await job.stop(1);
    end();
  });

  it('may fail of being stopped without a word', async () => {
    const before = warnings.length;
    const job = every(60_000, (signal) => sleep(60_000, undefined, { signal }), logger);
    await job.stop();
    expect(warnings).toHaveLength(before);
  });
});
