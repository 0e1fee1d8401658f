import { z } from 'zod';

/** What can be made to go wrong, on demand. */
export const FAULT_KINDS = [
  /** Too many requests; not executed, not saved. */
  '429',
  /** Fails inside the endpoint without effect; the same key replays the 500. */
  '500_saved',
  /** Takes effect, answers 500; the same key replays the 500. */
  '500_saved_after',
  /** Fails in front of the endpoint; the same key executes. */
  '500_unsaved',
  /** The request is lost, no answer comes. */
  'timeout_before',
  /** Executed; the answer is lost, no answer comes. */
  'timeout_after',
  /** The connection breaks before the request is executed. */
  'reset_before',
  /** Executed; the connection breaks instead of an answer. */
  'reset_after',
  /** Arrives late, by `delay_ms`: executed even if its sender has long given up. */
  'delay',
  /** Executes slowly, for `delay_ms`: the key is in use meanwhile. */
  'slow',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export const faultSchema = z.strictObject({
  match: z
    .strictObject({
      method: z.enum(['GET', 'POST', 'DELETE']).optional(),
      /** Regular expressions over the path without its query, and over the form-encoded parameters. */
      path: z.string().optional(),
      params: z.string().optional(),
    })
    .default({}),
  kind: z.enum(FAULT_KINDS),
  /** Matching requests that it meets, after `skip` others passed. */
  count: z.number().int().min(1).default(1),
  skip: z.number().int().min(0).default(0),
  delay_ms: z.number().int().min(0).default(0),
  /** Sent as `Stripe-Should-Retry`, and as `Retry-After`. */
  should_retry: z.enum(['true', 'false']).optional(),
  retry_after_seconds: z.number().int().min(0).optional(),
});
export type FaultOrder = z.input<typeof faultSchema>;
export type Fault = z.infer<typeof faultSchema>;

/** The faults that are ordered and not yet met. */
export class Faults {
  #orders: { fault: Fault; path: RegExp; params: RegExp; skip: number; left: number }[] = [];

  /** Orders a fault. Throws a ZodError or SyntaxError for one that cannot be. */
  order(order: unknown): void {
    const fault = faultSchema.parse(order);
    this.#orders.push({
      fault,
      path: new RegExp(fault.match.path ?? ''),
      params: new RegExp(fault.match.params ?? ''),
      skip: fault.skip,
      left: fault.count,
    });
  }

  clear(): void {
    this.#orders = [];
  }

  /** The fault that meets this request, if any; counts it. */
  take(method: string, path: string, params: string): Fault | null {
    for (const order of this.#orders) {
      if (order.fault.match.method !== undefined && order.fault.match.method !== method) continue;
      if (!order.path.test(path) || !order.params.test(params)) continue;
      if (order.skip > 0) {
        order.skip--;
        continue;
      }
      order.left--;
      if (order.left === 0) this.#orders = this.#orders.filter((other) => other !== order);
      return order.fault;
    }
    return null;
  }

  pending(): number {
    return this.#orders.length;
  }
}
