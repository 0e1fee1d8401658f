import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { withDatabase } from './database.js';
import { CommandFailure, EXIT_FAILED } from './exit-codes.js';

/** `costplus renumber`: after a restore from a dump, before anything runs on it. */
export function registerRenumber(program: Command, context: CommandContext): void {
  program
    .command('renumber')
    .description('after a restore from a dump: make transaction ids go on from those that the ledger remembers')
    .option('--check', 'change nothing; exit with 1 where it is needed')
    .addHelpText('after', '\nExamples:\n  $ DATABASE_URL=postgres://... costplus renumber --check')
    .action(async ({ check }: { check?: boolean }) => {
      const { readOrigin, renumber } = await import('../ledger/origin.js');
      if (check) {
        const { ahead, needed, next } = await withDatabase(context, (pool) => readOrigin(pool, true));
        const facts = `the ledger remembers transactions up to ${needed}, the next one is ${next}`;
        if (ahead) throw new CommandFailure(EXIT_FAILED, `Renumbering is needed: ${facts}.`);
        context.output.out(`Nothing to do: ${facts}.\n`);
        return;
      }
      const { before, renumbered } = await withDatabase(context, (pool) => renumber(pool, 'costplus renumber'));
      context.output.out(
        renumbered
          ? `Renumbered: the next transaction is ${before.needed} or later, it was ${before.next}.\n`
          : `Nothing to do: the next transaction is ${before.next}, the ledger remembers those up to ${before.needed}.\n`,
      );
    });
}
