import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { CostplusError } from './errors/error.js';
import {
  EVENT_AGE_DEFAULT_DAYS,
  PRICE_IMPORT_DEFAULT_HOURS,
  RELAY_SIGNALS_DEFAULT_PER_SECOND,
  REPORTED_COST_TOLERANCE_DEFAULT_FRACTION,
  STRIPE_RATE_DEFAULT_PER_SECOND,
} from './limits.js';

const port = z.coerce.number().int().min(0).max(65_535);

/** Every environment variable that costplus reads, parsed once at start. The README's table lists the same names. */
const environmentSchema = z.object({
  /** PostgreSQL connection string. Unset with `npm start`: the embedded PostgreSQL. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
    .optional(),
  /** `host:port` of a Temporal frontend. Unset with `npm start`: a Temporal dev server. */
  TEMPORAL_ADDRESS: z.string().min(1).optional(),
  TEMPORAL_NAMESPACE: z.string().min(1).default('default'),
  TEMPORAL_API_KEY: z.string().min(1).optional(),
  TEMPORAL_TLS: z.enum(['true', 'false']).optional(),
  /** A secret or restricted key. Unset with `npm start`: the local Stripe stand-in. */
  STRIPE_SECRET_KEY: z.string().min(1).optional(),
  /** A Stripe-compatible server instead of Stripe. */
  STRIPE_API_BASE: z.url().optional(),
  /** Signing secret of the webhook endpoint (`whsec_...`). */
  STRIPE_WEBHOOK_SECRET: z.string().min(1).optional(),
  /** Signing secret of the event destination (`whsec_...`) that delivers thin events about meters. */
  STRIPE_EVENT_DESTINATION_SECRET: z.string().min(1).optional(),
  STRIPE_CALLS_PER_SECOND: z.coerce.number().positive().max(100).default(STRIPE_RATE_DEFAULT_PER_SECOND),
  /** Where customers reach the API from outside: the footer of invoices links to their details there. */
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  /** Former values of COSTPLUS_ENCRYPTION_KEY with commas between: links to details that were made under them still open. */
  DETAILS_LINK_OLD_KEYS: z
    .string()
    .refine((text) => text.split(',').every(isKey), 'must be keys of 32 bytes in base64 with commas between')
    .optional(),
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: port.default(8080),
  /** Where the worker serves /metrics and /healthz; 0 chooses a free port. */
  WORKER_METRICS_PORT: port.default(0),
  /** State of the one-command stack: databases, the engine's binary, dev.json. */
  COSTPLUS_HOME: z.string().min(1).default(join(homedir(), '.costplus')),
  /** 32 bytes in base64: seals the signing secrets of usage sources in the database. */
  COSTPLUS_ENCRYPTION_KEY: z.string().refine(isKey, 'must be 32 bytes in base64').optional(),
  EVENT_AGE_DAYS: z.coerce.number().int().min(1).max(3_650).default(EVENT_AGE_DEFAULT_DAYS),
  RELAY_SIGNALS_PER_SECOND: z.coerce.number().positive().max(10_000).default(RELAY_SIGNALS_DEFAULT_PER_SECOND),
  /** Documents of price sources that `importPrices` looks at: `litellm=https://...,openrouter=/path.json`, or JSON. */
  PRICE_SOURCES: z.string().min(1).max(20_000).optional(),
  /** What becomes of an import without a person. */
  PRICE_POLICY: z.enum(['propose', 'publish_unsuspicious']).default('propose'),
  PRICE_IMPORT_HOURS: z.coerce
    .number()
    .int()
    .min(1)
    .max(24 * 31)
    .default(PRICE_IMPORT_DEFAULT_HOURS),
  /** How far reported costs may be from the catalog's before it is told, as a share of the catalog's. */
  REPORTED_COST_TOLERANCE: z
    .string()
    .regex(/^(0(\.\d{1,6})?|1)$/, 'must be a decimal from 0 to 1 such as "0.02"')
    .default(REPORTED_COST_TOLERANCE_DEFAULT_FRACTION),
  /** Path of a Temporal CLI binary for `npm start`. */
  TEMPORAL_CLI_PATH: z.string().min(1).optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

function isKey(text: string): boolean {
  return Buffer.from(text, 'base64').length === 32;
}

/** The names of all of them, for checks of what passes them on (documentation, compose file). */
export const ENVIRONMENT_NAMES: readonly string[] = Object.keys(environmentSchema.shape);

export type Config = z.infer<typeof environmentSchema>;
/** A configuration in which these parts are known: what the API and the worker need. */
export type ServerConfig = Config & {
  DATABASE_URL: string;
  TEMPORAL_ADDRESS: string;
  COSTPLUS_ENCRYPTION_KEY: string;
};

/** Reads the environment once. Throws `configuration` naming every variable at fault, never its value. */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(present);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new CostplusError('configuration', `Check the environment. ${faults.join('; ')}`);
}

/** The configuration of a server process, which starts nothing itself. Throws `configuration` for what is missing. */
export function readServerConfig(environment: NodeJS.ProcessEnv = process.env): ServerConfig {
  const config = readConfig(environment);
  const missing = (['DATABASE_URL', 'TEMPORAL_ADDRESS', 'COSTPLUS_ENCRYPTION_KEY'] as const).filter(
    (name) => !config[name],
  );
  if (missing.length > 0) {
    throw new CostplusError('configuration', `Set ${missing.join(', ')}, or run "npm start", which brings its own.`);
  }
  return config as ServerConfig;
}
