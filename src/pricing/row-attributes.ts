import type { PricingInputs, UsageRow } from './pricing-result.js';

/** Reads where an event belongs: its plan segment, and the values of the attributes that the inputs name. */
export class RowAttributes {
  readonly #segmentStarts: number[];
  readonly #readers: ((row: UsageRow) => string | null)[];

  constructor(inputs: Pick<PricingInputs, 'assignments' | 'attributes'>) {
    this.#segmentStarts = inputs.assignments.map(({ from }) =>
      from === null ? Number.NEGATIVE_INFINITY : Date.parse(from),
    );
    this.#readers = inputs.attributes.map(readAttribute);
  }

  /** Whether all events have the same. */
  get isConstant(): boolean {
    return this.#readers.length === 0 && this.#segmentStarts.length <= 1;
  }

  /** Index of the assignment in force when it happened. */
  segmentOf(row: UsageRow): number {
    let segment = 0;
    for (let i = 1; i < this.#segmentStarts.length && this.#segmentStarts[i]! <= row.occurred_at_ms; i++) segment = i;
    return segment;
  }

  /** One text for all that `segmentOf` and `valuesOf` answer. */
  keyOf(row: UsageRow): string {
    let key = String(this.segmentOf(row));
    for (const read of this.#readers) {
      const value = read(row);
      // Values hold no control characters, so they cannot look like the separators.
      key += value === null ? '\n-' : `\n+${value}`;
    }
    return key;
  }

  /** In the order of `PricingInputs.attributes`. */
  valuesOf(row: UsageRow): (string | null)[] {
    return this.#readers.map((read) => read(row));
  }
}

function readAttribute(name: string): (row: UsageRow) => string | null {
  if (name.startsWith('dimensions.')) {
    const dimension = name.slice('dimensions.'.length);
    return (row) => row.dimensions?.[dimension] ?? null;
  }
  switch (name) {
    case 'feature':
      return (row) => row.feature;
    case 'subscription_item_id':
      return (row) => row.subscription_item_id;
    case 'region':
      return (row) => row.region;
    case 'service_tier':
      return (row) => row.service_tier;
    case 'source':
      return (row) => row.source_id;
    case 'paid_by':
      return (row) => row.paid_by ?? 'us';
    case 'action_id':
      return (row) => row.action_id ?? null;
    default:
      throw new RangeError(`no event has an attribute ${name}`);
  }
}
