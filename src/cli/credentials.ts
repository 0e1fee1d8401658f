import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { durationMs } from '../contracts/ids.js';
import { type CommandContext, describe, print } from './context.js';
import { sealingKey, withDatabase } from './database.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';
import { fields } from './output.js';

type Role = 'service' | 'ops' | 'finance';

/** `costplus key ...` and `costplus source ...`: they write to the database itself, so that the first key can be made. */
export function registerCredentials(program: Command, context: CommandContext): void {
  const key = program.command('key').description('API keys');
  describe(key.command('create').description('make an API key; it is shown once'), [
    'key create --role finance --name "close of the month"',
    'key create --role service --name gateway --source gateway',
  ])
    .addOption(
      new Option('--role <role>', 'what it may do').choices(['service', 'ops', 'finance']).makeOptionMandatory(),
    )
    .requiredOption('--name <name>', 'what it is for')
    .option('--source <id>', 'the usage source that sends with it')
    .action(async (options: { role: Role; name: string; source?: string; json?: boolean }) => {
      const { createApiKey } = await import('../http/api-keys.js');
      const text = await withDatabase(context, (pool) =>
        createApiKey(pool, {
          role: options.role,
          name: options.name,
          ...(options.source === undefined ? {} : { source_id: options.source }),
        }),
      );
      const made = { key: text, role: options.role, name: options.name, source_id: options.source ?? null };
      print(context, options, made, fields);
    });

  describe(key.command('revoke').description('end an API key within seconds').argument('<prefix>'), [
    'key revoke 1f8e0c22ab90',
  ]).action(async (prefix: string, options: { json?: boolean }) => {
    const { revokeApiKey } = await import('../http/api-keys.js');
    await withDatabase(context, (pool) => revokeApiKey(pool, prefix));
    print(context, options, { revoked: prefix }, fields);
  });

  const source = program.command('source').description('usage sources and their signing secrets');
  describe(
    source.command('create').description('make a usage source; its signing secret is shown once').argument('<source>'),
    [
      'source create gateway --default-provider openai',
      'source create importer --may-backfill',
      'source create litellm --unsigned-doors',
    ],
  )
    .option('--default-provider <provider>', 'the provider of events that name none')
    .option('--may-backfill', 'may send events of any age')
    .option('--unsigned', 'sends without signatures')
    .option('--unsigned-doors', 'signs its own events, and may send unsigned through the doors of gateways')
    .action(
      async (
        id: string,
        options: {
          defaultProvider?: string;
          mayBackfill?: boolean;
          unsigned?: boolean;
          unsignedDoors?: boolean;
          json?: boolean;
        },
      ) => {
        const { createSource } = await import('../sources/sources.js');
        const secret = options.unsigned ? undefined : newSecret();
        const key = await sealingKey(context);
        await withDatabase(context, (pool) =>
          createSource(pool, key, {
            source_id: id,
            ...(secret === undefined ? {} : { secret }),
            ...(options.defaultProvider === undefined ? {} : { default_provider: options.defaultProvider }),
            may_backfill: options.mayBackfill ?? false,
            unsigned_doors: options.unsignedDoors ?? false,
          }),
        );
        print(context, options, { source_id: id, secret: secret ?? null }, fields);
      },
    );

  describe(
    source
      .command('rotate')
      .description('give a source a new signing secret; the old ones end after the overlap')
      .argument('<source>'),
    ['source rotate gateway --overlap P1D'],
  )
    .option('--overlap <duration>', 'how long the old secrets stay valid', 'P1D')
    .action(async (id: string, options: { overlap: string; json?: boolean }) => {
      const { addSourceSecret } = await import('../sources/sources.js');
      const secret = newSecret();
      const previousExpireAt = new Date(Date.now() + overlapMs(options.overlap));
      const key = await sealingKey(context);
      await withDatabase(context, (pool) => addSourceSecret(pool, key, { source_id: id, secret, previousExpireAt }));
      print(context, options, { source_id: id, secret, old_secrets_end_at: previousExpireAt.toISOString() }, fields);
    });
}

/** A Standard Webhooks secret of 32 random bytes. */
function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

function overlapMs(text: string): number {
  try {
    return durationMs(text);
  } catch {
    throw new CommandFailure(EXIT_USAGE, '--overlap must be an ISO 8601 duration such as PT1H or P1D.');
  }
}
