import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import {
  CREDENTIAL_CACHE_COUNT,
  CREDENTIAL_CACHE_SECONDS,
  SIGNING_SECRET_MAX_BYTES,
  SIGNING_SECRET_MIN_BYTES,
} from '../limits.js';
import { signingKey } from '../usage/request-signature.js';
import { openSecret, sealSecret } from './sealed-secret.js';

/** A usage source, as requests need it. */
export interface Source {
  source_id: string;
  default_provider: string | null;
  may_backfill: boolean;
  /** Whether its requests may come unsigned through the doors of gateways, which cannot sign by Standard Webhooks. */
  unsigned_doors: boolean;
  disabled: boolean;
  /** Whether it ever had a secret: then it signs every request, also when all its secrets have expired. */
  signs: boolean;
  /** The secrets in force, `whsec_...`. Several while one replaces another. */
  secrets: string[];
  /** The raw keys of `secrets`. */
  keys: Buffer[];
}

/** Throws `invalid_request` for what is no Standard Webhooks secret, without showing it. */
function checkSecret(secret: string): void {
  let bytes = 0;
  try {
    bytes = signingKey(secret).length;
  } catch {
    // Not of the form: the same words as for the wrong length.
  }
  if (bytes < SIGNING_SECRET_MIN_BYTES || bytes > SIGNING_SECRET_MAX_BYTES) {
    throw new CostplusError(
      'invalid_request',
      `A signing secret is "whsec_" and the base64 of ${SIGNING_SECRET_MIN_BYTES} to ${SIGNING_SECRET_MAX_BYTES} bytes.`,
      { field: 'secret' },
    );
  }
}

/**
 * Makes a usage source with its first signing secret; a source without `secret` sends unsigned. Doing the same again
 * changes nothing. Throws `conflict` where the source exists with other settings or without this secret.
 */
export async function createSource(
  queryable: Queryable,
  encryptionKey: Buffer,
  options: {
    source_id: string;
    secret?: string;
    default_provider?: string;
    may_backfill?: boolean;
    unsigned_doors?: boolean;
  },
): Promise<void> {
  const { source_id } = options;
  const wanted = {
    default_provider: options.default_provider ?? null,
    may_backfill: options.may_backfill ?? false,
    unsigned_doors: options.unsigned_doors ?? false,
  };
  if (options.secret !== undefined) checkSecret(options.secret);
  // One statement: a source that should sign never stands without its secret, not even for an instant.
  const made = await queryable.query(
    `WITH made AS (
       INSERT INTO sources (source_id, default_provider, may_backfill, unsigned_doors) VALUES ($1, $2, $3, $5)
       ON CONFLICT (source_id) DO NOTHING RETURNING source_id
     ), sealed AS (
       INSERT INTO source_secrets (source_id, sealed_secret)
       SELECT source_id, $4::bytea FROM made WHERE $4::bytea IS NOT NULL
     )
     SELECT source_id FROM made`,
    [
      source_id,
      wanted.default_provider,
      wanted.may_backfill,
      options.secret === undefined ? null : sealSecret(encryptionKey, source_id, options.secret),
      wanted.unsigned_doors,
    ],
  );
  if (made.rowCount === 1) return;
  const there = await readSource(queryable, encryptionKey, source_id);
  const sameSecret = options.secret === undefined ? there?.signs === false : there?.secrets.includes(options.secret);
  if (
    !sameSecret ||
    there?.default_provider !== wanted.default_provider ||
    there.may_backfill !== wanted.may_backfill ||
    there.unsigned_doors !== wanted.unsigned_doors
  ) {
    throw new CostplusError('conflict', 'The source exists with other settings or another secret.', {
      field: 'source_id',
    });
  }
}

/**
 * Adds a signing secret to a source. `previousExpireAt` is when its other secrets stop being taken (the overlap of a
 * rotation); left out, they stay. Throws `not_found` for an unknown source.
 */
export async function addSourceSecret(
  queryable: Queryable,
  encryptionKey: Buffer,
  options: { source_id: string; secret: string; previousExpireAt?: Date },
): Promise<void> {
  checkSecret(options.secret);
  const added = await queryable.query(
    `WITH source AS (SELECT source_id FROM sources WHERE source_id = $1), expiring AS (
       UPDATE source_secrets SET expires_at = least(expires_at, $3::timestamptz)
       WHERE source_id = $1 AND $3::timestamptz IS NOT NULL
     )
     INSERT INTO source_secrets (source_id, sealed_secret) SELECT source_id, $2::bytea FROM source RETURNING secret_id`,
    [options.source_id, sealSecret(encryptionKey, options.source_id, options.secret), options.previousExpireAt ?? null],
  );
  if (added.rowCount === 0) throw new CostplusError('not_found', 'There is no such source.', { field: 'source_id' });
}

interface SourceRow {
  source_id: string;
  default_provider: string | null;
  may_backfill: boolean;
  unsigned_doors: boolean;
  disabled: boolean;
  sealed: { secret: Buffer; expires_at: Date | null }[];
}

async function readSourceRow(queryable: Queryable, source_id: string): Promise<SourceRow | undefined> {
  const found = await queryable.query<
    Omit<SourceRow, 'sealed'> & { sealed_secret: Buffer | null; expires_at: Date | null }
  >(
    `SELECT s.source_id, s.default_provider, s.may_backfill, s.unsigned_doors, s.disabled_at IS NOT NULL AS disabled,
            k.sealed_secret, k.expires_at
       FROM sources s LEFT JOIN source_secrets k USING (source_id)
      WHERE s.source_id = $1 ORDER BY k.secret_id DESC`,
    [source_id],
  );
  const first = found.rows[0];
  if (!first) return undefined;
  const sealed = found.rows.flatMap((row) =>
    row.sealed_secret ? [{ secret: row.sealed_secret, expires_at: row.expires_at }] : [],
  );
  const { default_provider, may_backfill, unsigned_doors, disabled } = first;
  return { source_id, default_provider, may_backfill, unsigned_doors, disabled, sealed };
}

/** A source as the database has it now; null where there is none. */
export async function readSource(
  queryable: Queryable,
  encryptionKey: Buffer,
  source_id: string,
  now: number = Date.now(),
): Promise<Source | null> {
  const row = await readSourceRow(queryable, source_id);
  if (!row) return null;
  const { sealed, ...settings } = row;
  const inForce = sealed.filter(({ expires_at }) => expires_at === null || expires_at.getTime() > now);
  const secrets = inForce.map(({ secret }) => openSecret(encryptionKey, source_id, secret));
  return { ...settings, signs: sealed.length > 0, secrets, keys: secrets.map(signingKey) };
}

/** The sources of one database with their opened secrets, remembered for seconds. */
export class Sources {
  readonly #queryable: Queryable;
  readonly #encryptionKey: Buffer;
  readonly #now: () => number;
  readonly #known = new Map<string, { source: Source; until: number }>();

  constructor(queryable: Queryable, encryptionKey: Buffer, now: () => number = Date.now) {
    this.#queryable = queryable;
    this.#encryptionKey = encryptionKey;
    this.#now = now;
  }

  /** A source, at most a few seconds old; null where there is none. */
  async find(source_id: string): Promise<Source | null> {
    const known = this.#known.get(source_id);
    if (known && known.until > this.#now()) return known.source;
    const source = await readSource(this.#queryable, this.#encryptionKey, source_id, this.#now());
    if (!source) {
      this.#known.delete(source_id);
      return null;
    }
    if (this.#known.size >= CREDENTIAL_CACHE_COUNT) this.#known.clear();
    this.#known.set(source_id, { source, until: this.#now() + CREDENTIAL_CACHE_SECONDS * 1_000 });
    return source;
  }
}
