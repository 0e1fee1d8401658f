// Keeps the direction of imports: each folder of src imports only itself and what stands before it in this list.
// Workflows see contracts, pure functions and activity types only; entry points come last.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const ORDER = [
  'limits',
  'errors',
  'config',
  'money',
  'contracts',
  'observability',
  'database',
  'usage',
  'doors',
  'sources',
  'catalog',
  'plans',
  'pricing',
  'periods',
  'customers',
  'ledger',
  'budgets',
  'stripe',
  'invoicing',
  'closing',
  'reconciliation',
  'client',
  'engine',
  'http',
  'worker',
  'dev',
  'cli',
];
/** What workflow code may load at run time: no I/O, no zod, no clock. */
const WORKFLOW_RUNTIME = ['src/contracts/engine', 'src/contracts/period', 'src/limits', 'src/money'];
/** Folders that do no I/O: a pure core that anything can import. */
const PURE = ['money', 'plans/plan-rules', 'pricing', 'invoicing/compose'];

const IMPORT = /^\s*(import|export)\s+(type\s+)?[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]/gm;
const faults = [];
let files = 0;

function* walk(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

const layerOf = (path) => path.split('/')[1]?.replace(/\.ts$/, '');

for (const top of ['src', 'workflows', 'activities']) {
  for (const file of walk(join(root, top))) {
    files++;
    const from = relative(root, file);
    for (const match of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const specifier = match[3] ?? match[4];
      const typeOnly = Boolean(match[2]);
      if (!specifier.startsWith('.')) {
        if (
          PURE.some((folder) => from.startsWith(`src/${folder}`)) &&
          /^(node:|pg$|stripe$|fastify|@temporalio)/.test(specifier) &&
          !typeOnly
        )
          faults.push(`${from}: pure code imports ${specifier}`);
        if (
          top === 'workflows' &&
          !typeOnly &&
          specifier !== '@temporalio/workflow' &&
          specifier !== '@temporalio/common'
        )
          faults.push(`${from}: workflow code loads ${specifier}`);
        continue;
      }
      const to = relative(root, resolve(dirname(file), specifier)).replace(/\.js$/, '');
      if (top === 'src') {
        if (from.startsWith('src/worker/') && to.startsWith('activities/')) continue;
        if (!to.startsWith('src/')) faults.push(`${from}: src imports ${to}`);
        else {
          const [a, b] = [ORDER.indexOf(layerOf(from)), ORDER.indexOf(layerOf(`${to}.ts`))];
          if (a < 0) faults.push(`${from}: its folder is not in the order of layers`);
          else if (b < 0) faults.push(`${from}: ${to} is not in the order of layers`);
          else if (b > a) faults.push(`${from}: imports upwards, ${to}`);
        }
      } else if (top === 'workflows' && !typeOnly && !to.startsWith('workflows/')) {
        if (!WORKFLOW_RUNTIME.some((allowed) => to.startsWith(allowed)))
          faults.push(`${from}: workflow code loads ${to}`);
      } else if (top === 'activities' && to.startsWith('workflows/')) faults.push(`${from}: activities import ${to}`);
    }
  }
}
for (const fault of faults) console.error(fault);
console.log(`layers: ${files} files, ${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
