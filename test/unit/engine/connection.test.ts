import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config.js';
import { createEngineClient } from '../../../src/engine/connection.js';

describe('the connection to an engine that does not answer', () => {
  it.each([0, 50, 150, 400])('closes %i ms into repetitions of a call, which ends with an error', async (afterMs) => {
    const engine = createEngineClient(readConfig({ TEMPORAL_ADDRESS: '127.0.0.1:1' }));
    const answer = engine.client.connection.workflowService.getSystemInfo({}).catch((error: unknown) => error);
    await setTimeout(afterMs);
    await engine.close();
    // A repetition on a closed connection would throw inside a timer, and leave the call without an answer.
    expect(await answer).toBeInstanceOf(Error);
  });
});
