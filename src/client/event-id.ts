import { randomBytes } from 'node:crypto';

/**
 * A new id: the prefix, the time in milliseconds, 80 random bits. Ids of one process sort by the time they were made,
 * which keeps what is appended together close together in an index. Fits the form of event ids.
 */
export function newId(prefix: string, nowMs: number = Date.now()): string {
  return `${prefix}_${nowMs.toString(36).padStart(9, '0')}${randomBytes(10).toString('hex')}`;
}
