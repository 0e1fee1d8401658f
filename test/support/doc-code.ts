import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A block of code of a page that is tagged with a file name: ```ts title="name.ts". */
export interface CodeBlock {
  page: string;
  file: string;
  code: string;
}

/** The tagged TypeScript of a page under docs/, as a reader copies it. */
export function codeOf(page: string): CodeBlock[] {
  const text = readFileSync(`${ROOT}/docs/${page}`, 'utf8');
  return [...text.matchAll(/^```ts title="([\w.-]+)"\n(.*?)^```$/gms)].map(([, file, code]) => ({
    page,
    file: file!,
    code: code!,
  }));
}

/** The code with the package's name replaced by its source, so that it runs without a build. */
export function runnable(code: string): string {
  return code.replaceAll("'costplus/client'", `'${ROOT}src/client/client.js'`);
}
