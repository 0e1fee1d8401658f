import type { ConnectionLike } from '@temporalio/client';
import { SEARCH_CUSTOMER, SEARCH_PERIOD, SEARCH_STATUS } from '../contracts/engine.js';
import { CostplusError } from '../errors/error.js';

/** temporal.api.enums.v1.IndexedValueType: an exact string. */
const KEYWORD = 2;
const GRPC_ALREADY_EXISTS = 6;

/**
 * Registers the search attributes that billing runs carry, those that the namespace lacks. Safe to call at every
 * start, by several processes at once, on any Temporal server whose operator API the caller may use. Throws
 * `configuration` when the namespace has one of the names with another type.
 */
export async function registerSearchAttributes(
  connection: Pick<ConnectionLike, 'operatorService'>,
  namespace: string,
): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const names = [SEARCH_CUSTOMER, SEARCH_PERIOD, SEARCH_STATUS];
  const wrong = names.filter((name) => customAttributes[name] !== undefined && customAttributes[name] !== KEYWORD);
  if (wrong.length > 0) {
    throw new CostplusError(
      'configuration',
      `The search attributes ${wrong.join(', ')} of namespace ${namespace} are not of the type Keyword.`,
    );
  }
  const missing = names.filter((name) => customAttributes[name] === undefined);
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    if ((error as { code?: number }).code !== GRPC_ALREADY_EXISTS) throw error;
  }
}
