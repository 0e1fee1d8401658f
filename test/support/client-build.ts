import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Compiles the client for a process of its own, and returns the path of its entry. It stands inside the repository, so
 * that packages resolve as they do for the sources.
 */
export async function buildClient(): Promise<string> {
  mkdirSync(join(ROOT, '.costplus'), { recursive: true });
  const outDir = mkdtempSync(join(ROOT, '.costplus/client-'));
  const project = join(outDir, 'tsconfig.json');
  const compilerOptions = { noEmit: false, rootDir: ROOT, outDir, types: ['node'] };
  const files = [join(ROOT, 'src/client/client.ts')];
  writeFileSync(project, JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions, files, include: [] }));
  await promisify(execFile)(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', project]);
  return join(outDir, 'src/client/client.js');
}
