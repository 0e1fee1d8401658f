/** Where commands write. The process's own streams, or a test's. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

export const processOutput: Output = {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
};

/** Control characters of data must not steer a terminal. */
const printable = (value: unknown): string =>
  value === null || value === undefined ? '-' : String(value).replace(/\p{Cc}/gu, ' ');

/** Rows as columns of equal width; numbers (and decimal strings) stand right. Ends with a line break. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = head.map((name, column) => Math.max(name.length, ...cells.map((row) => (row[column] ?? '').length)));
  const isNumber = head.map(
    (_name, column) => cells.length > 0 && cells.every((row) => /^(-?\d+(\.\d+)?%?|-)$/.test(row[column] ?? '')),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return `${[head.map((name) => name.toUpperCase()), ...cells].map(line).join('\n')}\n`;
}

/** Name and value, one a line; for one thing with few members. */
export function fields(members: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(members).map((name) => name.length));
  return Object.entries(members)
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`)
    .join('');
}

/** A value as indented JSON; what `--json` prints. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
