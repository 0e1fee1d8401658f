import type { Queryable } from '../database/pool.js';
import { CATALOG_POLL_MILLISECONDS, CATALOG_VERSIONS_CACHED_COUNT } from '../limits.js';
import type { Catalog } from './catalog.js';
import { currentCatalogVersion, readCatalog } from './catalog-store.js';

/**
 * Compiled catalogs of one process. A version never changes, so what `at` returns is never stale. `current` may be
 * CATALOG_POLL_MILLISECONDS behind: whoever decides money reads the version in the same transaction and asks `at`.
 */
export class CatalogCache {
  readonly #database: Queryable;
  readonly #now: () => number;
  /** By version, the one used last at the end; `loaded`: nothing is waited for any more. */
  readonly #catalogs = new Map<number, { catalog: Promise<Catalog>; loaded: boolean }>();
  #newest: { version: Promise<number>; readAtMs: number } | null = null;

  constructor(database: Queryable, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** The newest catalog, at most CATALOG_POLL_MILLISECONDS old. */
  async current(): Promise<Catalog> {
    const now = this.#now();
    if (
      this.#newest === null ||
      now - this.#newest.readAtMs >= CATALOG_POLL_MILLISECONDS ||
      now < this.#newest.readAtMs
    ) {
      const newest = { version: currentCatalogVersion(this.#database), readAtMs: now };
      this.#newest = newest;
      newest.version.catch(() => {
        if (this.#newest === newest) this.#newest = null;
      });
    }
    return this.at(await this.#newest.version);
  }

  /**
   * The catalog of a version. Whoever holds a connection hands it over as `held`: the version is read on it where it is
   * not in memory, so that one who holds a connection never waits for another one of the pool, nor for a load that does.
   * Throws `not_found` for a version that is not published.
   */
  at(version: number, held?: Queryable): Promise<Catalog> {
    const known = this.#catalogs.get(version);
    if (known === undefined || (held !== undefined && !known.loaded)) {
      return this.#load(version, held ?? this.#database);
    }
    this.#catalogs.delete(version);
    this.#catalogs.set(version, known);
    return known.catalog;
  }

  #load(version: number, database: Queryable): Promise<Catalog> {
    const entry = { catalog: readCatalog(database, version), loaded: false };
    this.#catalogs.delete(version);
    this.#catalogs.set(version, entry);
    entry.catalog.then(
      () => {
        entry.loaded = true;
      },
      () => {
        if (this.#catalogs.get(version) === entry) this.#catalogs.delete(version);
      },
    );
    const [oldest] = this.#catalogs.keys();
    if (this.#catalogs.size > CATALOG_VERSIONS_CACHED_COUNT) this.#catalogs.delete(oldest!);
    return entry.catalog;
  }
}
