import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { ServerConfig } from '../config.js';
import { canonicalJson } from '../contracts/canonical-json.js';

/** An issued revision of a period's invoice, as links name it. */
export interface RevisionName {
  customer_id: string;
  start_date: string;
  revision: number;
}

export interface DetailsLinkOptions {
  /** The 32 bytes of COSTPLUS_ENCRYPTION_KEY: links are made under it. */
  encryptionKey: Buffer;
  /** Former values of it: links that were made under them still open. */
  oldKeys?: readonly Buffer[];
  /** Where customers reach the API; without it links have no address of their own, only a path. */
  publicUrl?: string | undefined;
}

/** Binds the key to this use, and to this form of the token. */
const KEY_INFO = 'costplus invoice details 1';

/**
 * Links that open the customer's detail file of one revision without an API key: the same for the same revision, and not
 * to be guessed without the server's key (HMAC-SHA256). Nothing of them is stored, and no composed content names them.
 */
export class DetailsLinks {
  readonly #keys: readonly Buffer[];
  readonly #publicUrl: string | undefined;

  constructor({ encryptionKey, oldKeys = [], publicUrl }: DetailsLinkOptions) {
    this.#keys = [encryptionKey, ...oldKeys].map(linkKey);
    this.#publicUrl = publicUrl;
  }

  /** As the environment says. */
  static of({ COSTPLUS_ENCRYPTION_KEY, DETAILS_LINK_OLD_KEYS, PUBLIC_URL }: ServerConfig): DetailsLinks {
    const key = (text: string) => Buffer.from(text, 'base64');
    const oldKeys = DETAILS_LINK_OLD_KEYS?.split(',').map(key) ?? [];
    return new DetailsLinks({ encryptionKey: key(COSTPLUS_ENCRYPTION_KEY), oldKeys, publicUrl: PUBLIC_URL });
  }

  /** The path on the API, `/v1/invoice-details/...`. */
  pathOf(name: RevisionName): string {
    return `/v1/invoice-details/${name.customer_id}/${name.start_date}/${name.revision}/${tokenOf(this.#keys[0]!, name)}`;
  }

  /** The whole address, or null where nobody said under which one customers reach the API. */
  urlOf(name: RevisionName): string | null {
    if (this.#publicUrl === undefined) return null;
    // A public address can have a path of its own in front.
    const base = this.#publicUrl.endsWith('/') ? this.#publicUrl : `${this.#publicUrl}/`;
    return new URL(this.pathOf(name).slice(1), base).href;
  }

  /** Whether a token opens this revision, in a time that does not depend on how much of it is right. */
  opens(name: RevisionName, token: string): boolean {
    const given = Buffer.from(token);
    let opens = false;
    for (const key of this.#keys) {
      const expected = Buffer.from(tokenOf(key, name));
      if (given.length === expected.length && timingSafeEqual(given, expected)) opens = true;
    }
    return opens;
  }
}

function linkKey(encryptionKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', encryptionKey, '', KEY_INFO, 32));
}

function tokenOf(key: Buffer, { customer_id, start_date, revision }: RevisionName): string {
  return createHmac('sha256', key)
    .update(canonicalJson([customer_id, start_date, revision]))
    .digest('base64url');
}
