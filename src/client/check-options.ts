import { CostplusError } from '../errors/error.js';
import { signingKey } from '../usage/request-signature.js';
import type { ReporterOptions } from './reporter-options.js';

/**
 * The raw key of the reporter's secret, null without one. Throws `configuration` where URL, secret or their use cannot
 * work; the message never shows the secret.
 */
export function checkedKey(options: ReporterOptions): Buffer | null {
  if (!URL.canParse(options.url)) throw new CostplusError('configuration', 'url must be an URL', { field: 'url' });
  if (options.secret === undefined) {
    if (options.signEvents)
      throw new CostplusError('configuration', 'signEvents needs the secret', { field: 'secret' });
    return null;
  }
  try {
    return signingKey(options.secret);
  } catch (cause) {
    throw new CostplusError('configuration', 'a signing secret is written whsec_<base64>', { field: 'secret', cause });
  }
}

/** What `open` returns. Throws `configuration` where the spool's directory cannot be used. */
export function checkedSpool<T>(open: () => T): T {
  try {
    return open();
  } catch (cause) {
    const context = { field: 'spool.directory', cause };
    throw new CostplusError('configuration', 'the spool directory cannot be made or written', context);
  }
}
