import type { Pool } from './pool.js';

interface Turns {
  taken: number;
  waiting: (() => void)[];
}

const turnsOf = new WeakMap<Pool, Turns>();

/**
 * Runs a long read when it is its turn. At most half of a pool's connections read for long: the others answer what is
 * short, however many periods are priced at a time. In the order of asking. A turn is taken before a connection and given
 * back after it, by whoever holds neither: what runs inside must not ask for another turn.
 */
export async function inTurn<T>(pool: Pool, work: () => Promise<T>): Promise<T> {
  const turns = turnsOf.get(pool) ?? { taken: 0, waiting: [] };
  turnsOf.set(pool, turns);
  if (turns.taken < Math.max(1, Math.floor(pool.options.max / 2))) turns.taken++;
  // Whoever ends hands the turn on: the count stays.
  else await new Promise<void>((resolve) => turns.waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = turns.waiting.shift();
    if (next) next();
    else turns.taken--;
  }
}
