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
  /** By version, the one used last at the end. */
  readonly #catalogs = new Map<number, Promise<Catalog>>();
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

  /** The catalog of a version. Throws `not_found` for one that is not published. */
  at(version: number): Promise<Catalog> {
    const known = this.#catalogs.get(version);
    const catalog = known ?? readCatalog(this.#database, version);
    this.#catalogs.delete(version);
    this.#catalogs.set(version, catalog);
    if (known === undefined) {
      catalog.catch(() => {
        if (this.#catalogs.get(version) === catalog) this.#catalogs.delete(version);
      });
      const [oldest] = this.#catalogs.keys();
      if (this.#catalogs.size > CATALOG_VERSIONS_CACHED_COUNT) this.#catalogs.delete(oldest!);
    }
    return catalog;
  }
}
