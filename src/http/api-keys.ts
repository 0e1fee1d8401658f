import { randomBytes, timingSafeEqual } from 'node:crypto';
import { sha256 } from '../contracts/canonical-json.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { CREDENTIAL_CACHE_COUNT, CREDENTIAL_CACHE_SECONDS } from '../limits.js';

export const API_ROLES = ['service', 'ops', 'finance'] as const;
/** service: sends usage. ops: reads. finance: reads the same and writes. */
export type ApiRole = (typeof API_ROLES)[number];

/** Who asks: what an API key stands for. */
export interface Caller {
  role: ApiRole;
  /** The usage source that the key belongs to. */
  source_id: string | null;
  /** Names the key in logs and in the audit log. */
  prefix: string;
}

/** `cp_<role>_<prefix>_<256 random bits in base64url>`: says what it is where it leaks, and is found by its prefix. */
const KEY_PATTERN = /^cp_(service|ops|finance)_([a-z0-9]{12})_[A-Za-z0-9_-]{43}$/;

/** The text of a new key, not known to any database yet. */
export function newApiKey(role: ApiRole): string {
  return `cp_${role}_${randomBytes(6).toString('hex')}_${randomBytes(32).toString('base64url')}`;
}

/**
 * Makes an API key and returns its text, the only time that it can be read: the database has its SHA-256. A plain hash
 * is enough because the key is 256 random bits. `key` brings a key made elsewhere (of the same form): doing that again
 * changes nothing. Throws `invalid_request` for a key of another form, `conflict` where its prefix is taken.
 */
export async function createApiKey(
  queryable: Queryable,
  options: { role: ApiRole; name: string; source_id?: string; key?: string },
): Promise<string> {
  const key = options.key ?? newApiKey(options.role);
  const parts = KEY_PATTERN.exec(key);
  if (!parts || parts[1] !== options.role) {
    throw new CostplusError('invalid_request', `A key has the form cp_${options.role}_<prefix>_<secret>.`, {
      field: 'key',
    });
  }
  if (options.source_id !== undefined && options.role !== 'service') {
    throw new CostplusError('invalid_request', 'Only a service key belongs to a source.', { field: 'source_id' });
  }
  const prefix = parts[2]!;
  const hash = sha256(key);
  await queryable.query(
    `INSERT INTO api_keys (prefix, secret_hash, role, source_id, name) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (prefix) DO NOTHING`,
    [prefix, hash, options.role, options.source_id ?? null, options.name],
  );
  const stored = await readKey(queryable, prefix);
  if (!stored || !timingSafeEqual(stored.secret_hash, hash) || stored.source_id !== (options.source_id ?? null)) {
    throw new CostplusError('conflict', 'This prefix belongs to another key.', { field: 'key' });
  }
  return key;
}

/** Ends a key; processes that know it follow within seconds. Throws `not_found` for an unknown or already revoked one. */
export async function revokeApiKey(queryable: Queryable, prefix: string): Promise<void> {
  const revoked = await queryable.query(
    'UPDATE api_keys SET revoked_at = now() WHERE prefix = $1 AND revoked_at IS NULL',
    [prefix],
  );
  if (revoked.rowCount === 0) throw new CostplusError('not_found', 'There is no such key in force.');
}

interface KeyRow {
  prefix: string;
  secret_hash: Buffer;
  role: ApiRole;
  source_id: string | null;
  revoked: boolean;
}

async function readKey(queryable: Queryable, prefix: string): Promise<KeyRow | undefined> {
  const found = await queryable.query<KeyRow>(
    'SELECT prefix, secret_hash, role, source_id, revoked_at IS NOT NULL AS revoked FROM api_keys WHERE prefix = $1',
    [prefix],
  );
  return found.rows[0];
}

/** The API keys of one database, remembered for seconds so that a request costs no query. */
export class ApiKeys {
  readonly #queryable: Queryable;
  readonly #now: () => number;
  readonly #known = new Map<string, { row: KeyRow; until: number }>();

  constructor(queryable: Queryable, now: () => number = Date.now) {
    this.#queryable = queryable;
    this.#now = now;
  }

  /**
   * Who sends `Authorization: Bearer <key>`. Throws `unauthenticated` for a missing, malformed, unknown or revoked key,
   * in the same words whatever is wrong with it.
   */
  async authenticate(header: string | undefined): Promise<Caller> {
    if (header === undefined) {
      throw new CostplusError('unauthenticated', 'Send "Authorization: Bearer <api key>".');
    }
    const key = /^bearer +(\S+)$/i.exec(header)?.[1] ?? '';
    const prefix = KEY_PATTERN.exec(key)?.[2];
    const row = prefix === undefined ? undefined : await this.#read(prefix);
    if (!row || row.revoked || !timingSafeEqual(row.secret_hash, sha256(key))) {
      throw new CostplusError('unauthenticated', 'The API key is not known here, or it was revoked.');
    }
    return { role: row.role, source_id: row.source_id, prefix: row.prefix };
  }

  async #read(prefix: string): Promise<KeyRow | undefined> {
    const known = this.#known.get(prefix);
    if (known && known.until > this.#now()) return known.row;
    const row = await readKey(this.#queryable, prefix);
    if (!row) {
      this.#known.delete(prefix);
      return undefined;
    }
    if (this.#known.size >= CREDENTIAL_CACHE_COUNT) this.#known.clear();
    this.#known.set(prefix, { row, until: this.#now() + CREDENTIAL_CACHE_SECONDS * 1_000 });
    return row;
  }
}
