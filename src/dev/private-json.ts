import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Writes a file whole or not at all, readable by its owner only. */
export async function writePrivateJson(path: string, value: unknown): Promise<void> {
  const unfinished = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`);
  await writeFile(unfinished, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(unfinished, path);
}

/** What a JSON file says, or null when it is missing or cannot be read as JSON. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
