// What tsc does not carry: SQL migrations, published data, the prebundled workflow code.

import { existsSync } from 'node:fs';
import { chmod, cp, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const root = fileURLToPath(new URL('..', import.meta.url));
await cp(`${root}src/database/migrations`, `${root}dist/src/database/migrations`, { recursive: true });
for (const folder of ['src/catalog/bundled', 'src/console/assets', 'src/dev/samples']) {
  if (existsSync(root + folder)) await cp(root + folder, `${root}dist/${folder}`, { recursive: true });
}
if (existsSync(`${root}dist/workflows/index.js`)) {
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({ workflowsPath: `${root}dist/workflows/index.js`, logger: quiet });
  await writeFile(`${root}dist/workflow-bundle.js`, code);
}
if (existsSync(`${root}dist/src/cli/main.js`)) await chmod(`${root}dist/src/cli/main.js`, 0o755);
