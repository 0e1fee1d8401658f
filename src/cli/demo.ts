import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { CostplusError } from '../errors/error.js';
import { EXIT_FAILED } from './exit-codes.js';

/** `costplus demo`: the whole way of usage into invoices on a stack of its own. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('bring up a stack of its own, send recorded usage through it, close the periods, show the invoices')
    .option('--keep', 'leave the stack running until Ctrl-C')
    .addHelpText('after', '\nExamples:\n  costplus demo\n  costplus demo --keep')
    .action(run);
}

/** Whatever servers the environment names, demonstration data and invoices stay out of them. */
const OTHERS_SERVERS = [
  'DATABASE_URL',
  'TEMPORAL_ADDRESS',
  'STRIPE_SECRET_KEY',
  'STRIPE_API_BASE',
  'STRIPE_WEBHOOK_SECRET',
  'STRIPE_EVENT_DESTINATION_SECRET',
];

function ownStack(environment: NodeJS.ProcessEnv, home: string): NodeJS.ProcessEnv {
  const own = Object.entries(environment).filter(([name]) => !OTHERS_SERVERS.includes(name));
  return { ...Object.fromEntries(own), COSTPLUS_HOME: home };
}

async function run(options: { keep?: boolean }): Promise<void> {
  const { readConfig } = await import('../config.js');
  const { clusterDirectory } = await import('../dev/embedded-postgres.js');
  const { startStack } = await import('../dev/stack.js');
  const { runDemo } = await import('../dev/demo/demo.js');
  const { createScreen } = await import('../dev/demo/screen.js');
  const home = join(resolve(readConfig().COSTPLUS_HOME), 'demo');
  const screen = createScreen(process.stdout);
  const interrupt = new AbortController();
  const interrupted = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        interrupt.abort(new CostplusError('shutting_down', 'The demo was interrupted.'));
        done();
      });
    }
  });
  screen.title('Starting the stack');
  const stack = await startStack({
    environment: ownStack(process.env, home),
    say: (line) => screen.line(line),
    signal: interrupt.signal,
    // Each demo begins with empty books; what takes long to fetch (the engine's program) is kept.
    prepare: async () => {
      const places = ['temporal', 'stripe', 'secrets.json'].map((name) => join(home, name));
      for (const place of [...places, await clusterDirectory(home)]) await rm(place, { recursive: true, force: true });
    },
  });
  let failed: unknown;
  try {
    await Promise.race([runDemo(stack.info, screen), interrupted]);
    if (options.keep && !interrupt.signal.aborted) {
      screen.line(`the stack runs until Ctrl-C; addresses and keys are in ${join(home, 'dev.json')}`);
      await interrupted;
    }
  } catch (error) {
    failed = error;
  }
  screen.line('');
  await stack.stop();
  screen.line('stopped');
  if (failed !== undefined) {
    process.stderr.write(`costplus demo: ${failed instanceof Error ? failed.message : String(failed)}\n`);
    process.exitCode = EXIT_FAILED;
  }
}
