/** Events that wait in memory, bounded by number and by bytes. */
export class EventQueue {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  #lines: string[] = [];
  /** Where the first line stands: shifting an array of thousands for each batch would copy it. */
  #first = 0;
  #bytes = 0;

  constructor(maxEvents: number, maxBytes: number) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#lines.length - this.#first;
  }

  /** False when the queue is full: the line was not taken. */
  push(line: string): boolean {
    const bytes = Buffer.byteLength(line);
    if (this.length >= this.#maxEvents || this.#bytes + bytes > this.#maxBytes) return false;
    this.#lines.push(line);
    this.#bytes += bytes;
    return true;
  }

  /** The oldest lines, at most so many and of so many bytes, but at least one; they stay until `remove`. */
  peek(maxEvents: number, maxBytes: number): string[] {
    return takeBatch(this.#lines, this.#first, maxEvents, maxBytes);
  }

  /** Takes the oldest lines away. */
  remove(count: number): void {
    for (let i = 0; i < count; i++) this.#bytes -= Buffer.byteLength(this.#lines[this.#first + i]!);
    this.#first += count;
    if (this.#first * 2 >= this.#lines.length) {
      this.#lines = this.#lines.slice(this.#first);
      this.#first = 0;
    }
  }
}

/** Lines from a position on that fit into one request; at least one. */
export function takeBatch(lines: readonly string[], from: number, maxEvents: number, maxBytes: number): string[] {
  let bytes = 0;
  let end = from;
  while (end < lines.length && end - from < maxEvents) {
    bytes += Buffer.byteLength(lines[end]!) + 1;
    if (bytes > maxBytes && end > from) break;
    end++;
  }
  return lines.slice(from, end);
}
