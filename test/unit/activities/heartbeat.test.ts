import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { heartbeating } from '../../../activities/heartbeat.js';

/** Runs the work as an activity until it ends; answers the heartbeats that the engine heard. */
async function heard(
  work: (onProgress: (events: number) => void, beats: number[]) => Promise<void>,
  silentMs: number,
): Promise<number[]> {
  const beats: number[] = [];
  const environment = new MockActivityEnvironment();
  environment.on('heartbeat', (events: number) => beats.push(events));
  await environment.run(() => heartbeating((onProgress) => work(onProgress, beats), { everyMs: 5, silentMs }));
  return beats;
}

const until = async (holds: () => boolean) => {
  while (!holds()) await sleep(5);
};

describe('heartbeats of an activity that reads a period', () => {
  it('go on while a query answers nothing, and tell how far it came', async () => {
    const beats = await heard(async (onProgress, sofar) => {
      await until(() => sofar.length >= 3);
      onProgress(10_000);
      await until(() => sofar.at(-1) === 10_000);
    }, 60_000);
    expect(beats.slice(0, 3)).toEqual([0, 0, 0]);
  });

  it('stop when it has said nothing for too long: the engine then gives the attempt up', async () => {
    const beats = await heard(async (onProgress, sofar) => {
      await sleep(30);
      expect(sofar).toEqual([]);
      onProgress(1);
    }, 0);
    expect(beats).toEqual([]);
  });

  it('end with the work', async () => {
    const beats = await heard((_onProgress, sofar) => until(() => sofar.length > 0), 60_000);
    const count = beats.length;
    await sleep(30);
    expect(beats).toHaveLength(count);
  });

  it('end an attempt that was given up at its next step: its successor has the work', async () => {
    const environment = new MockActivityEnvironment();
    const read: number[] = [];
    const attempt = environment.run(() =>
      heartbeating(async (onProgress) => {
        for (let events = 1; ; events++) {
          onProgress(events);
          read.push(events);
          if (events === 3) environment.cancel();
          await sleep(1);
        }
      }),
    );
    await expect(attempt).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(read).toEqual([1, 2, 3]);
  });
});
