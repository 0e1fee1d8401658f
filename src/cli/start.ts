import type { Command } from 'commander';
import type { Stack } from '../dev/stack.js';
import { CostplusError } from '../errors/error.js';

/** npm passes Ctrl-C on while the terminal sends it too: only a later one means "now". */
const SECOND_SIGNAL_MILLISECONDS = 1_000;
const EXIT_BY_SIGNAL = 130;

/** `costplus start`: the whole system on this machine. */
export function registerStart(program: Command): void {
  program
    .command('start')
    .description('run the whole system on this machine: databases, engine, API, worker')
    .option('--home <folder>', 'where state is kept (default: COSTPLUS_HOME, else ~/.costplus)')
    .option('--quiet', 'print errors only')
    .addHelpText('after', '\nExamples:\n  $ costplus start\n  $ DATABASE_URL=postgres://... costplus start --quiet')
    .action(async (options: { home?: string; quiet?: boolean }) => {
      const environment = { ...process.env, ...(options.home ? { COSTPLUS_HOME: options.home } : {}) };
      const say = (line: string) => {
        if (!options.quiet) process.stdout.write(`${line}\n`);
      };
      await run(environment, say);
    });
}

/** Runs the stack until the first signal; a second one, a while later, kills what is left. */
async function run(environment: NodeJS.ProcessEnv, say: (line: string) => void): Promise<void> {
  const { startStack } = await import('../dev/stack.js');
  // Whoever read the output may be gone (a closed terminal, a pipe into head): stopping in order goes on.
  process.stdout.on('error', () => undefined);
  const giveUp = new AbortController();
  let stack: Stack | undefined;
  let askedAt = 0;
  const stop = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (askedAt === 0) {
          askedAt = Date.now();
          say('stopping');
          giveUp.abort(new CostplusError('shutting_down', 'The start was interrupted.'));
          resolve();
        } else if (Date.now() - askedAt > SECOND_SIGNAL_MILLISECONDS) {
          for (const pid of Object.values(stack?.pids() ?? {})) process.kill(pid, 'SIGKILL');
          process.exit(EXIT_BY_SIGNAL);
        }
      });
    }
  });
  try {
    stack = await startStack({ environment, say, signal: giveUp.signal });
    say(`costplus is ready: ${stack.info.api_url} (docs ${stack.info.console_url})`);
    say(`addresses and keys are in ${stack.home}/dev.json; Ctrl-C stops it, the data stays`);
    await stop;
    await stack.stop();
  } catch (error) {
    if (!giveUp.signal.aborted) throw error;
  }
  say('stopped');
}
