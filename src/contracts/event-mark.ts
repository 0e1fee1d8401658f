/**
 * What is known to be missing in an event, or made up for it, because of the way it came: foreign payloads do not carry
 * everything that an event of `POST /v1/usage` says. Marks are stored with the event and shown in its trail.
 */
export const EVENT_MARKS = [
  /** The sender gave no id that outlasts a retry: the same call sent again later counts again. */
  'no_lasting_id',
  /** Input and output of one call are events of their own. */
  'split_call',
  /** Tokens read from or written to a cache are not told apart from other input, or are not in it at all. */
  'cache_counts_unknown',
  /** How large the whole input was is not known: a model whose price depends on it is held. */
  'context_size_unknown',
  /** The payload names no time: `occurred_at` is when it was received. */
  'time_of_receipt',
  /** The call was paid by a provider key of the customer. */
  'byok',
  /** No customer has this Stripe customer id: the event waits under the id itself. */
  'unknown_stripe_customer',
] as const;
export type EventMark = (typeof EVENT_MARKS)[number];
