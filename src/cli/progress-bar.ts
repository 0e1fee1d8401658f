/** Where a bar is drawn: a terminal's error output. */
export interface Terminal {
  isTTY: boolean;
  columns: number;
  write(text: string): void;
}

const REDRAW_MILLISECONDS = 100;

/** One line that is drawn over itself; on anything but a terminal it draws nothing. */
export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #startedMs = performance.now();
  #drawnMs = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows how far it is (`fraction` from 0 to 1) and how many rows are done, at most ten times a second. */
  show(fraction: number, rows: number): void {
    const nowMs = performance.now();
    if (!this.#terminal.isTTY || nowMs - this.#drawnMs < REDRAW_MILLISECONDS) return;
    this.#drawnMs = nowMs;
    const perSecond = rows / Math.max((nowMs - this.#startedMs) / 1_000, 0.001);
    this.#terminal.write(`\r${progressLine(fraction, rows, perSecond, this.#terminal.columns)}\x1b[K`);
  }

  /** Takes the line away, so that what follows stands by itself. */
  clear(): void {
    if (this.#terminal.isTTY) this.#terminal.write('\r\x1b[K');
  }
}

/** The text of a bar that fits into `columns`. */
export function progressLine(fraction: number, rows: number, perSecond: number, columns: number): string {
  const part = Math.min(Math.max(fraction, 0), 1);
  const words = ` ${String(Math.floor(part * 100)).padStart(3)}%  ${grouped(rows)} rows  ${grouped(Math.round(perSecond))}/s`;
  const width = Math.max(Math.min(columns - words.length - 3, 40), 0);
  const full = Math.round(part * width);
  return width === 0 ? words.trimStart() : `[${'#'.repeat(full)}${'-'.repeat(width - full)}]${words}`;
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}
