/** A row of a catalog with its span of time; `place` orders rows by version, then by their place in it. */
export interface DatedRow {
  version: number;
  place: number;
  /** Rows of one slot stand for each other in time, rows of different slots stand side by side. */
  slot: string;
  fromMs: number;
  toMs: number;
}

/** Whether a row wins over another one of its slot that covers the instant too: newest version, then latest start. */
export function beats(row: DatedRow, other: DatedRow | undefined): boolean {
  if (other === undefined) return true;
  if (row.version !== other.version) return row.version > other.version;
  return row.fromMs !== other.fromMs ? row.fromMs > other.fromMs : row.place > other.place;
}

/** The row of each slot that is in force at an instant, withdrawals included. */
export function winnersAt<Row extends DatedRow>(rows: readonly Row[], atMs: number): Row[] {
  const winners = new Map<string, Row>();
  for (const row of rows) {
    if (row.fromMs <= atMs && atMs < row.toMs && beats(row, winners.get(row.slot))) winners.set(row.slot, row);
  }
  return [...winners.values()];
}

/** Instants at which the rows in force may change, ascending. */
export function boundariesOf(rows: readonly DatedRow[]): number[] {
  const instants = rows.flatMap(({ fromMs, toMs }) => [fromMs, toMs]);
  return [...new Set(instants)].filter(Number.isFinite).sort((a, b) => a - b);
}
