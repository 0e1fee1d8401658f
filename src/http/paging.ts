import { z } from 'zod';
import type { PageRequest } from '../contracts/page.js';
import { PAGE_DEFAULT_COUNT, PAGE_MAX_COUNT } from '../limits.js';

/** The query members of every list. */
export const pageQuery = {
  /** `next_cursor` of the page before; opaque. */
  cursor: z.string().min(1).max(1_024).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX_COUNT).default(PAGE_DEFAULT_COUNT),
};

/** What a store is asked for. */
export function pageOf(query: { cursor?: string | undefined; limit: number }): PageRequest {
  return { cursor: query.cursor ?? null, limit: query.limit };
}
