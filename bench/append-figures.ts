import { type Scene, timeAll } from './append-scene.js';
import { median } from './machine.js';

export const ROUNDS = 3;
export const CONNECTIONS = 4;
/** Callers at a time are what gateways have open: many small requests, few large ones. */
export const CASES = [
  { batch: 1, events: 12_000, callers: 64 },
  { batch: 100, events: 60_000, callers: 16 },
  { batch: 1_000, events: 60_000, callers: 8 },
] as const;

export interface Figures {
  rate: number;
  postgresMicroseconds: number;
  walBytes: number;
}

/** Sends all batches, `callers` at a time, into an empty ledger; throws unless every event is stored afterwards. */
export async function measure<T>(
  scene: Scene,
  batches: readonly T[],
  events: number,
  callers: number,
  work: (batch: T) => Promise<unknown>,
): Promise<Figures> {
  await scene.reset();
  const before = await scene.usage();
  const seconds = await timeAll(batches, callers, work);
  const after = await scene.usage();
  const { rows } = await scene.pool.query<{ n: number }>('SELECT count(*) AS n FROM usage_events');
  if (rows[0]!.n !== events) throw new Error(`${rows[0]!.n} of ${events} events are stored`);
  return {
    rate: events / seconds,
    postgresMicroseconds: ((after.cpuSeconds - before.cpuSeconds) / events) * 1e6,
    walBytes: (after.walBytes - before.walBytes) / events,
  };
}

/** One line: both sides and the median of the rounds' ratios. */
export function printFigures(name: string, bare: readonly Figures[], append: readonly Figures[]): void {
  const of = (figures: readonly Figures[]) => {
    const rate = Math.round(median(figures.map((one) => one.rate))).toLocaleString('en-US');
    const cpu = median(figures.map((one) => one.postgresMicroseconds)).toFixed(0);
    const wal = median(figures.map((one) => one.walBytes)).toFixed(0);
    return `${rate} events/s (PostgreSQL ${cpu} us, WAL ${wal} bytes an event)`;
  };
  const ratio = median(append.map((one, i) => one.rate / bare[i]!.rate)).toFixed(2);
  console.log(`    ${name}: bare ${of(bare)}, costplus ${of(append)}, ratio ${ratio}`);
}
