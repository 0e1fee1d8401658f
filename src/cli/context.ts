import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError } from 'commander';
import { ApiClient, findConnection } from './api-client.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';
import { json, type Output } from './output.js';

/** What commands get from the process: its environment and where to write. */
export interface CommandContext {
  environment: NodeJS.ProcessEnv;
  output: Output;
}

/** The API of the environment. Throws a usage failure where nothing says where it is. */
export async function connect(context: CommandContext): Promise<ApiClient> {
  return new ApiClient(await findConnection(context.environment));
}

/** Prints a value as JSON where `--json` asks for it, else as `render` words it. */
export function print<T>(
  context: CommandContext,
  options: { json?: boolean },
  value: T,
  render: (value: T) => string,
): void {
  context.output.out(options.json ? json(value) : render(value));
}

/** Adds `--json` and the examples that end a command's help. */
export function describe(command: Command, examples: readonly string[]): Command {
  const shown = examples.map((example) => `  $ costplus ${example}`).join('\n');
  return command.option('--json', 'print JSON').addHelpText('after', `\nExamples:\n${shown}`);
}

/** A whole number from 1, for options such as `--limit`. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('must be a whole number from 1');
  return Number(text);
}

/** A text from a file, or from standard input for `-`. Throws a usage failure. */
export async function readTextFile(path: string): Promise<string> {
  try {
    return path === '-' ? await text(process.stdin) : await readFile(path, 'utf8');
  } catch {
    throw new CommandFailure(EXIT_USAGE, `${path} cannot be read.`);
  }
}

/** A JSON document from a file, or from standard input for `-`. Throws a usage failure. */
export async function readJsonFile(path: string): Promise<unknown> {
  const content = await readTextFile(path);
  try {
    return JSON.parse(content);
  } catch {
    throw new CommandFailure(EXIT_USAGE, `${path} is not valid JSON.`);
  }
}
