import type Stripe from 'stripe';
import { readAll, type SubmitDeps } from './submit-attempt.js';

/** What a meter at Stripe calls the customer and the value in an event, and its id. */
export interface MeterKeys {
  id: string | null;
  customer: string;
  value: string;
}

/** Finds a meter by its event name. */
export type MeterReader = (eventName: string) => Promise<MeterKeys>;

/** A reader that lists the account's meters once, when it is first asked. */
export function meterReader(deps: SubmitDeps): MeterReader {
  let listed: Promise<Stripe.Billing.Meter[]> | undefined;
  return async (eventName) => {
    listed ??= readAll(deps, 'list meters', (sdk, page) => sdk.billing.meters.list({ status: 'active', ...page }));
    const meter = (await listed).find(({ event_name }) => event_name === eventName);
    return {
      id: meter?.id ?? null,
      customer: meter?.customer_mapping.event_payload_key ?? 'stripe_customer_id',
      value: meter?.value_settings.event_payload_key ?? 'value',
    };
  };
}
