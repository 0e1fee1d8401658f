import type { CostGroup, UsageRow } from './pricing-result.js';

/** What tells groups apart that rules and lines see: one object for one group, for as long as its pricer lives. */
export type SeenGroup = Pick<CostGroup, 'segment' | 'provider' | 'model_id' | 'priced_as' | 'meter' | 'attributes'>;

/** Hears what becomes of each event that a pricer takes. */
export interface PricingObserver {
  /** A meter of the event stands in this group. */
  inGroup(row: UsageRow, group: SeenGroup, quantity: number | string): void;
  /** The event is held. */
  held(row: UsageRow): void;
}
