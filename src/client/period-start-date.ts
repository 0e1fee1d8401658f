import { CLIENT_REQUEST_TIMEOUT_MILLISECONDS } from '../limits.js';

/** What is read of a period in the list of `GET /v1/periods`. */
interface PeriodHead {
  start_date: string;
  period: { start: string; end: string };
}

/**
 * The start date of the customer's billing period that an instant lies in (default now), or null where costplus has no
 * period there yet. It reads `GET /v1/periods`, for which the key needs the role `ops`. Throws an Error where costplus
 * cannot be reached or refuses the key. A period's start date never changes: remember it until the period's end.
 */
export async function periodStartDate(options: {
  url: string;
  apiKey: string;
  customer_id: string;
  at?: Date;
}): Promise<string | null> {
  const atMs = (options.at ?? new Date()).getTime();
  const base = new URL('v1/periods', options.url.endsWith('/') ? options.url : `${options.url}/`);
  base.searchParams.set('customer_id', options.customer_id);
  for (let cursor: string | null = null; ; ) {
    if (cursor !== null) base.searchParams.set('cursor', cursor);
    const response = await fetch(base, {
      headers: { authorization: `Bearer ${options.apiKey}` },
      redirect: 'error',
      signal: AbortSignal.timeout(CLIENT_REQUEST_TIMEOUT_MILLISECONDS),
    });
    if (!response.ok) throw new Error(`costplus answered ${response.status} to the list of periods`);
    const page = (await response.json()) as { data: PeriodHead[]; next_cursor: string | null };
    const found = page.data.find(({ period }) => Date.parse(period.start) <= atMs && atMs < Date.parse(period.end));
    if (found) return found.start_date;
    if (page.next_cursor === null) return null;
    cursor = page.next_cursor;
  }
}
