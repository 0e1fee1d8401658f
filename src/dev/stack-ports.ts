import type { Config } from '../config.js';
import { choosePort, freePort, type PortWish } from './ports.js';

export type PreferredPorts = Record<'postgres' | 'temporal' | 'temporalUi' | 'stripe' | 'api', number>;

/** Where the embedded parts listen while nothing else does. */
export const PREFERRED_PORTS: Readonly<PreferredPorts> = {
  postgres: 54_329,
  temporal: 7_233,
  temporalUi: 8_233,
  stripe: 12_111,
  api: 8_080,
};

/** Whether the environment names Stripe itself or a server that stands in for it. */
export const hasOwnStripe = (config: Config): boolean => Boolean(config.STRIPE_SECRET_KEY || config.STRIPE_API_BASE);

/** Where each part listens; 0 for a part that the environment names elsewhere. */
export type StackPorts = Record<keyof PreferredPorts, number>;

/** Chooses all ports of a stack; `say` hears of each preferred one that is taken. Throws `configuration` where one that
 * the environment asks for is taken. */
export async function chooseStackPorts(options: {
  config: Config;
  environment: NodeJS.ProcessEnv;
  preferred: PreferredPorts;
  say: (line: string) => void;
}): Promise<StackPorts> {
  const { config, environment, preferred, say } = options;
  const asked = environment.PORT ? { asked: { variable: 'PORT', port: config.PORT } } : {};
  const wish = (part: string, port: number): PortWish => ({ part, preferred: port });
  return {
    api: await choosePort({ part: 'the API', preferred: preferred.api, host: config.HOST, ...asked }, say),
    postgres: config.DATABASE_URL ? 0 : await choosePort(wish('PostgreSQL', preferred.postgres), say),
    temporal: config.TEMPORAL_ADDRESS ? 0 : await choosePort(wish('Temporal', preferred.temporal), say),
    temporalUi: config.TEMPORAL_ADDRESS ? 0 : await choosePort(wish("Temporal's UI", preferred.temporalUi), say),
    stripe: hasOwnStripe(config) ? 0 : await choosePort(wish('the Stripe stand-in', preferred.stripe), say),
  };
}

/**
 * Chooses the port of the worker's metrics, any free one unless the environment asks for one. Called when everything
 * else listens: the engine takes further ports wherever it finds free ones.
 */
export async function chooseMetricsPort(config: Config, environment: NodeJS.ProcessEnv): Promise<number> {
  const port = config.WORKER_METRICS_PORT;
  const asked = environment.WORKER_METRICS_PORT ? { asked: { variable: 'WORKER_METRICS_PORT', port } } : {};
  const preferred = asked.asked ? port : await freePort();
  return choosePort({ part: "the worker's metrics", preferred, ...asked }, () => undefined);
}
