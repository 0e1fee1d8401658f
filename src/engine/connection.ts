import { setTimeout } from 'node:timers/promises';
import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import type { Config } from '../config.js';
import { ENGINE_RETRY_INTERVAL_MILLISECONDS } from '../limits.js';

/** Connection options from the environment: address, and TLS and API key for Temporal Cloud. */
export function connectionOptions(config: Config): { address?: string; tls?: true; apiKey?: string } {
  const tls =
    config.TEMPORAL_TLS === undefined ? config.TEMPORAL_API_KEY !== undefined : config.TEMPORAL_TLS === 'true';
  return {
    ...(config.TEMPORAL_ADDRESS === undefined ? {} : { address: config.TEMPORAL_ADDRESS }),
    ...(tls ? { tls: true } : {}),
    ...(config.TEMPORAL_API_KEY === undefined ? {} : { apiKey: config.TEMPORAL_API_KEY }),
  };
}

/** A client of the engine, and how it ends. */
export interface EngineClient {
  client: Client;
  close(): Promise<void>;
}

/**
 * A client that connects when it is first used: an API that starts before the engine answers, and says not ready. The SDK
 * repeats calls by timers of its own, which outlive whoever waited for the call and throw where nothing can catch it once
 * the connection is closed: closing lets no further repetition be planned and waits for those that are.
 */
export function createEngineClient(config: Config): EngineClient {
  const { delayFunction, retryableDecider } = defaultGrpcRetryOptions({
    maxIntervalMs: () => ENGINE_RETRY_INTERVAL_MILLISECONDS,
  });
  let closing = false;
  let quietAt = 0;
  const connection = Connection.lazy({
    ...connectionOptions(config),
    interceptors: [
      makeGrpcRetryInterceptor({
        retryableDecider: (attempt, status) => !closing && retryableDecider(attempt, status),
        delayFunction: (attempt, status) => {
          const delay = delayFunction(attempt, status);
          quietAt = Math.max(quietAt, performance.now() + delay);
          return delay;
        },
      }),
    ],
  });
  return {
    client: new Client({ connection, namespace: config.TEMPORAL_NAMESPACE }),
    close: async () => {
      closing = true;
      // One millisecond more: a timer is due in whole ones.
      const wait = Math.ceil(quietAt - performance.now()) + 1;
      if (wait > 0) await setTimeout(wait);
      await connection.close();
    },
  };
}
