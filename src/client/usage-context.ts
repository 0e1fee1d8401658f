import { AsyncLocalStorage } from 'node:async_hooks';
import type { UsageEventInput } from './event-input.js';

/** Whose call it is and what for: what an event says beside what the provider's response tells. */
export type UsageContext = Partial<
  Pick<
    UsageEventInput,
    | 'customer_id'
    | 'provider'
    | 'feature'
    | 'action_id'
    | 'subscription_item_id'
    | 'region'
    | 'service_tier'
    | 'features'
    | 'dimensions'
    | 'reservation_id'
    | 'paid_by'
  >
>;

/** A context, or what gives it at the moment of a call. */
export type ContextSource = UsageContext | (() => UsageContext | undefined);

const ambient = new AsyncLocalStorage<UsageContext>();

/**
 * Runs `work` with a context that every wrapped call inside it takes, through awaits and timers. Inside another context
 * its members replace the outer ones of the same name; `dimensions` are joined.
 */
export function withUsageContext<T>(context: UsageContext, work: () => T): T {
  return ambient.run(joined(ambient.getStore() ?? {}, context), work);
}

/** The context of a call that is made now: what was given when the client was wrapped, below what is around the call. */
export function contextOf(source: ContextSource | undefined): UsageContext {
  const given = typeof source === 'function' ? source() : source;
  return joined(given ?? {}, ambient.getStore() ?? {});
}

function joined(outer: UsageContext, inner: UsageContext): UsageContext {
  const context = { ...outer, ...inner };
  return outer.dimensions && inner.dimensions
    ? { ...context, dimensions: { ...outer.dimensions, ...inner.dimensions } }
    : context;
}
