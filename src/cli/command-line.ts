import { Command, CommanderError } from 'commander';
import { CostplusError } from '../errors/error.js';
import { registerActions } from './actions.js';
import { registerAdjustments } from './adjustments.js';
import { registerCatalog } from './catalog.js';
import type { CommandContext } from './context.js';
import { registerLateUsage } from './corrections.js';
import { registerCredentials } from './credentials.js';
import { registerCredits } from './credits.js';
import { registerCustomers } from './customers.js';
import { registerDemo } from './demo.js';
import { registerExchangeRates } from './exchange-rates.js';
import { CommandFailure, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE } from './exit-codes.js';
import { registerHeld } from './held.js';
import { registerInvoices } from './invoices.js';
import { registerPeriods } from './periods.js';
import { registerPlans } from './plans.js';
import { registerPrice } from './price.js';
import { registerRenumber } from './renumber.js';
import { registerServers } from './servers.js';
import { registerStart } from './start.js';
import { registerUsage } from './usage.js';
import { registerWhatIf } from './what-if.js';

const EXIT_CODES = `
Exit codes: ${EXIT_OK} done, ${EXIT_FAILED} refused or failed, ${EXIT_USAGE} written wrong, ${EXIT_UNREACHABLE} no server answers, ${EXIT_NOT_FOUND} not found.

Commands that ask the API take its address and key from COSTPLUS_URL and COSTPLUS_API_KEY,
else from the stack that "costplus start" runs on this machine.`;

/** All commands. What only one of them needs is loaded when it runs, so that each starts fast. */
export function buildProgram(context: CommandContext): Command {
  const program = new Command('costplus')
    .description('AI usage in, invoices out: cost, price, meter, and bill model calls.')
    .exitOverride()
    .configureOutput({ writeOut: context.output.out, writeErr: context.output.error })
    .addHelpText('after', EXIT_CODES);
  registerStart(program);
  registerDemo(program);
  registerPrice(program);
  registerPeriods(program, context);
  registerWhatIf(program, context);
  registerInvoices(program, context);
  registerUsage(program, context);
  registerActions(program, context);
  registerHeld(program, context);
  registerLateUsage(program, context);
  registerCredits(program, context);
  registerAdjustments(program, context);
  registerExchangeRates(program, context);
  registerCustomers(program, context);
  registerPlans(program, context);
  registerCatalog(program, context);
  registerCredentials(program, context);
  registerServers(program, context);
  registerRenumber(program, context);
  return program;
}

/** Runs one command line and returns its exit code; what went wrong is written to the error output. */
export async function runCommandLine(args: readonly string[], context: CommandContext): Promise<number> {
  try {
    await buildProgram(context).parseAsync(args, { from: 'user' });
    return EXIT_OK;
  } catch (error) {
    // Commander has written its words already; it ends --help the same way, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    const [code, message] = failureOf(error);
    context.output.error(`costplus: ${message}\n`);
    return code;
  }
}

function failureOf(error: unknown): [number, string] {
  if (error instanceof CommandFailure) return [error.exitCode, error.message];
  if (error instanceof CostplusError) {
    if (error.code === 'configuration') return [EXIT_USAGE, error.message];
    if (error.status === 404) return [EXIT_NOT_FOUND, error.message];
    return [error.status === 503 ? EXIT_UNREACHABLE : EXIT_FAILED, error.message];
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND') return [EXIT_UNREACHABLE, `no connection (${code})`];
  return [EXIT_FAILED, message || 'something went wrong'];
}
