import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../../src/cli/command-line.js';

const page = readFileSync(fileURLToPath(new URL('../../../docs/reference/cli.md', import.meta.url)), 'utf8');
const program = buildProgram({ environment: {}, output: { out: () => undefined, error: () => undefined } });

function* leaves(command: Command, name = 'costplus'): Generator<[string, Command]> {
  for (const child of command.commands) {
    if (child.commands.length > 0) yield* leaves(child, `${name} ${child.name()}`);
    else yield [`${name} ${child.name()}`, child];
  }
}

describe('docs/reference/cli.md', () => {
  it('has every command with its arguments, and no other', () => {
    const documented = [...page.matchAll(/^\| `(costplus [^`]+)` \|/gm)].map(([, command]) => command!);
    const registered = [...leaves(program)].map(([name, command]) =>
      [
        name,
        ...command.registeredArguments.map((argument) =>
          argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
        ),
      ].join(' '),
    );
    expect(documented.sort()).toEqual(registered.sort());
  });

  it('every command ends its help with something to copy', () => {
    for (const [name, command] of leaves(program)) {
      const help: string[] = [];
      command.configureOutput({ writeOut: (text) => void help.push(text) }).outputHelp();
      expect(help.join(''), name).toMatch(/Examples?:/);
    }
  });
});
