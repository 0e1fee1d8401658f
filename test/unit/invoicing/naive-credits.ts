/*
 * What credits with a match pay, found again from single events with whole numbers and none of src, to be read against
 * "Credits for some usage" of docs/explanation/money.md. One plan, one currency with cents.
 */

/** One event: what it cost in cents, and what it was for. */
export interface UsedEvent {
  feature: string;
  model: string;
  cents: number;
}

export interface NaiveCredit {
  cents: number;
  /** What it pays for; both given: both must be so. */
  on: 'all' | 'usage' | 'fees' | { features?: string[]; model?: string };
}

export interface NaiveTerms {
  /** Hundredths on top of each event's cost. */
  markup: number;
  fee: number;
  discount: number;
  included: number;
  /** Cents of goodwill on the invoice. */
  goodwill: number;
  late: number;
}

const roundHalfUp = (n: bigint, d: bigint) => (2n * n + d) / (2n * d);
const least = (...values: bigint[]) => values.sort((a, b) => (a < b ? -1 : 1))[0]!;

/** What each credit pays, in cents. Lines are by feature. */
export function naiveBurns(terms: NaiveTerms, events: UsedEvent[], credits: NaiveCredit[]): bigint[] {
  const markup = BigInt(100 + terms.markup);
  const takers = ({ feature, model }: UsedEvent) =>
    credits
      .map(({ on }, index) => ({ on, index }))
      .filter(
        ({ on }) =>
          typeof on === 'object' &&
          (on.features === undefined || on.features.includes(feature)) &&
          (on.model === undefined || on.model === model),
      )
      .map(({ index }) => index)
      .join();

  // Each line is rounded; what stands on it has its share of the rounded amount.
  let usage = 0n;
  const shares: { takers: string; n: bigint; d: bigint }[] = [];
  for (const feature of new Set(events.map((event) => event.feature))) {
    const own = events.filter((event) => event.feature === feature);
    const cost = own.reduce((sum, event) => sum + BigInt(event.cents), 0n);
    const amount = roundHalfUp(cost * markup, 100n);
    usage += amount;
    if (cost === 0n) continue;
    for (const event of own) shares.push({ takers: takers(event), n: amount * BigInt(event.cents), d: cost });
  }
  usage -= roundHalfUp(usage * BigInt(terms.discount), 100n);
  usage -= least(usage, BigInt(terms.included));
  const total = usage + BigInt(terms.fee - terms.goodwill + terms.late);

  // One denominator for all, then whole cents by the largest rest.
  const common = shares.reduce((d, share) => d * share.d, 1n);
  const weights = new Map<string, bigint>([['', 0n]]);
  for (const { takers: key, n, d } of shares) weights.set(key, (weights.get(key) ?? 0n) + (n * common) / d);
  if ([...weights.values()].every((weight) => weight === 0n)) weights.set('', 1n);
  const pieces = shareOut(usage, weights);
  pieces.set('', (pieces.get('') ?? 0n) + BigInt(terms.late));

  let usageLeft = least(usage + BigInt(terms.late), total < 0n ? 0n : total);
  let feesLeft = (total < 0n ? 0n : total) - usageLeft;
  return credits.map(({ cents, on }, index) => {
    const isMine = (key: string) => typeof on !== 'object' || key.split(',').includes(String(index));
    const mine = new Map([...pieces].filter(([key]) => isMine(key)));
    const payable = [...mine.values()].reduce((a, b) => a + b, 0n);
    const ofUsage = on === 'fees' ? 0n : least(BigInt(cents), usageLeft, payable);
    for (const [key, share] of shareOut(ofUsage, mine)) pieces.set(key, pieces.get(key)! - share);
    const ofFees = on === 'all' || on === 'fees' ? least(BigInt(cents) - ofUsage, feesLeft) : 0n;
    usageLeft -= ofUsage;
    feesLeft -= ofFees;
    return ofUsage + ofFees;
  });
}

/** Whole cents in proportion; those left over go to the largest rests, of equal ones to the smaller key, '' last. */
function shareOut(total: bigint, weights: Map<string, bigint>): Map<string, bigint> {
  const whole = [...weights.values()].reduce((a, b) => a + b, 0n);
  if (whole === 0n) return new Map();
  const rows = [...weights].map(([key, weight]) => ({
    key,
    share: (total * weight) / whole,
    rest: (total * weight) % whole,
  }));
  rows.sort((a, b) => {
    if (a.rest !== b.rest) return a.rest > b.rest ? -1 : 1;
    // As the composer writes a key: each place between spaces.
    const [x, y] = [a.key, b.key].map((key) => (key === '' ? '~' : ` ${key.replaceAll(',', ' ')} `));
    return x! < y! ? -1 : 1;
  });
  let left = total - rows.reduce((sum, { share }) => sum + share, 0n);
  for (const row of rows) {
    if (left === 0n) break;
    row.share += 1n;
    left -= 1n;
  }
  return new Map(rows.map(({ key, share }) => [key, share]));
}
