/** What a list is asked for; `cursor` is opaque to clients, null for the first page. */
export interface PageRequest {
  cursor: string | null;
  limit: number;
}

/** One page of a list; `next_cursor` is null on the last. */
export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}
