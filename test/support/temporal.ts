import { fileURLToPath } from 'node:url';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { SEARCH_CUSTOMER, SEARCH_PERIOD, SEARCH_STATUS } from '../../src/contracts/engine.js';
import { findTemporalCli, findTemporalTestServer } from '../../src/dev/temporal-binary.js';
import { DEV_NAMESPACE } from '../../src/dev/temporal-server.js';
import { registerSearchAttributes } from '../../src/engine/search-attributes.js';

/** Programs that tests fetch once stay here. Test files that fetch at the same time replace each other's copy whole. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/costplus', import.meta.url));

/** Path of the Temporal CLI, fetched at the first call. */
export function temporalCli(): Promise<string> {
  return findTemporalCli({ cache: CACHE });
}

/** `IndexedValueType.KEYWORD` of Temporal's API. */
const KEYWORD = 2;

/** Before anything of the SDK starts: its runtime is installed once in a process. Tests show errors only. */
let quiet = false;
function quietRuntime(): void {
  if (quiet) return;
  quiet = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
    shutdownSignals: [],
  });
}

/** A real server on a database in memory, with the search attributes of billing runs. `teardown` ends it. */
export async function startDevServer(options: { extraArgs?: string[] } = {}): Promise<TestWorkflowEnvironment> {
  const path = await temporalCli();
  const environment = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path },
      namespace: DEV_NAMESPACE,
      log: { format: 'pretty', level: 'error' },
      ...options,
    },
  });
  await registerSearchAttributes(environment.connection, DEV_NAMESPACE);
  return environment;
}

/** The test server, whose clock skips while nothing runs. It has no visibility (list, count). `teardown` ends it. */
export async function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  quietRuntime();
  const path = await findTemporalTestServer({ cache: CACHE });
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
  // It refuses an upsert of attributes that it was not told of, and cannot list those it has.
  await environment.connection.operatorService.addSearchAttributes({
    namespace: DEV_NAMESPACE,
    searchAttributes: Object.fromEntries(
      [SEARCH_CUSTOMER, SEARCH_PERIOD, SEARCH_STATUS].map((name) => [name, KEYWORD]),
    ),
  });
  return environment;
}
