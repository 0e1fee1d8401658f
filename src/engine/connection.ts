import { Client, Connection } from '@temporalio/client';
import type { Config } from '../config.js';

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

/** A client that connects when it is first used: an API that starts before the engine answers, and says not ready. */
export function createEngineClient(config: Config): Client {
  return new Client({ connection: Connection.lazy(connectionOptions(config)), namespace: config.TEMPORAL_NAMESPACE });
}
