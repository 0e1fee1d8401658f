import type { Command } from 'commander';
import { readServerConfig } from '../config.js';
import type { CommandContext } from './context.js';
import { withDatabase } from './database.js';

/** `costplus api`, `costplus worker`, `costplus migrate`: the processes of a deployment. */
export function registerServers(program: Command, context: CommandContext): void {
  program
    .command('api')
    .description('serve the HTTP API until SIGTERM or SIGINT')
    .addHelpText('after', '\nExamples:\n  $ DATABASE_URL=postgres://... TEMPORAL_ADDRESS=temporal:7233 costplus api')
    .action(async () => {
      const config = readServerConfig(context.environment);
      const { runApi } = await import('../http/main.js');
      await runApi(config);
    });

  program
    .command('worker')
    .description('run workflows and activities until SIGTERM or SIGINT')
    .addHelpText('after', '\nExamples:\n  $ DATABASE_URL=postgres://... TEMPORAL_ADDRESS=temporal:7233 costplus worker')
    .action(async () => {
      const config = readServerConfig(context.environment);
      const { runWorker } = await import('../worker/main.js');
      await runWorker(config);
    });

  program
    .command('migrate')
    .description('bring the database to this version and publish the bundled catalog where there is none')
    .option('--grant <role>', 'give this role what the API and the worker need, and no more')
    .addHelpText('after', '\nExamples:\n  $ DATABASE_URL=postgres://... costplus migrate --grant billing_service')
    .action(async ({ grant }: { grant?: string }) => {
      const { migrate } = await import('../database/migrate.js');
      const { ensureBundledCatalog } = await import('../catalog/publish.js');
      const { grantService } = await import('../database/grants.js');
      const [applied, version] = await withDatabase(context, async (pool) => {
        const names = await migrate(pool);
        const catalog = await ensureBundledCatalog(pool);
        if (grant !== undefined) await grantService(pool, grant);
        return [names, catalog] as const;
      });
      for (const name of applied) context.output.out(`applied ${name}\n`);
      if (grant !== undefined) context.output.out(`granted ${grant} what it needs\n`);
      context.output.out(`The database is up to date; its catalog is version ${version}.\n`);
    });
}
