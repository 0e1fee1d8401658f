import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CostplusError } from '../errors/error.js';
import { type PartName, processTitle } from './leftovers.js';
import type { PartSpec } from './part.js';

const READY_REQUEST_MILLISECONDS = 2_000;

/** A part of the stack that is a Node.js program of this package. */
export interface Service {
  name: Extract<PartName, 'stripe' | 'api' | 'worker'>;
  /** Program and arguments, the program relative to the built package. */
  program: [string, ...string[]];
  environment: Record<string, string>;
  /** Answers 200 when the service works. */
  readyUrl: string;
}

/** The folder of the built package: `dist`, whether this file runs from it or from the sources. */
function builtPackage(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder);
    if (above === folder) throw new CostplusError('internal', 'The package of costplus has no package.json.');
    folder = above;
  }
  return join(folder, 'dist');
}

/** How a service starts: as a process with a title by which a later run finds it again. */
export function serviceSpec(
  service: Service,
  options: { home: string; logFile: string; environment: NodeJS.ProcessEnv },
): PartSpec {
  const [program, ...args] = service.program;
  return {
    name: service.name,
    command: process.execPath,
    args: [
      `--title=${processTitle(service.name, options.home)}`,
      '--enable-source-maps',
      join(builtPackage(), program),
      ...args,
    ],
    env: { ...options.environment, ...service.environment },
    logFile: options.logFile,
    stopSignal: 'SIGTERM',
    isReady: async () => {
      const answer = await fetch(service.readyUrl, { signal: AbortSignal.timeout(READY_REQUEST_MILLISECONDS) });
      await answer.body?.cancel();
      return answer.status === 200;
    },
  };
}
