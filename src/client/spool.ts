import {
  close,
  closeSync,
  fdatasync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CLIENT_SPOOL_HEARTBEAT_MILLISECONDS, CLIENT_SPOOL_LEASE_MILLISECONDS } from '../limits.js';
import { newId } from './event-id.js';
import { adoptAbandoned, beat, makeOwnerFolder, ownerFile } from './spool-owner.js';

const SEGMENT_SUFFIX = '.jsonl';
/** What the server refused as a whole is set aside here, for people. */
const REFUSED_FOLDER = 'refused';

/** A file of events, one a line, that is not written any more. */
export interface Segment {
  path: string;
  bytes: number;
  /** Events that this reporter wrote into it; 0 for a segment that a dead one left. */
  own: number;
}

export interface SpoolSettings {
  directory: string;
  fsync: 'window' | 'never';
  windowMs: number;
  maxBytes: number;
  /** A segment holds at most what one request does. */
  segmentEvents: number;
  segmentBytes: number;
  onError: (error: Error) => void;
  /** Another process took this one for dead and sends so many of its events now. */
  onHandedOver: (events: number) => void;
  /** Segments that a dead owner left were found. */
  onRecovered: () => void;
}

/**
 * Events on disk until they are acknowledged: append-only segments in a folder of this process's own. An event is
 * written with one `write` before `append` returns; whatever ends the process afterwards leaves it to the next.
 *
 * Nobody else touches a living owner's folder. A dead one's is taken over by a rename, which only one process wins.
 * A process that was stopped for longer than its lease and then wakes finds its folder gone and begins a new one. Should
 * an event be sent twice all the same, the server finds the same id with the same payload: a duplicate, billed once.
 */
export class Spool {
  readonly #settings: SpoolSettings;
  readonly #heart: NodeJS.Timeout;
  #folder: string;
  #beatAtMs = Date.now();
  #active: { fd: number; path: string; bytes: number; events: number } | null = null;
  #sealed: Segment[] = [];
  #bytes = 0;
  #segmentNumber = 0;
  #syncTimer: NodeJS.Timeout | null = null;

  /** Throws when the directory cannot be made or written: that is found at start, not at the first event. */
  constructor(settings: SpoolSettings) {
    this.#settings = settings;
    mkdirSync(settings.directory, { recursive: true, mode: 0o700 });
    this.#folder = makeOwnerFolder(settings.directory);
    this.#adopt();
    this.#heart = setInterval(() => this.#beat(), CLIENT_SPOOL_HEARTBEAT_MILLISECONDS).unref();
  }

  /** Segments to send, oldest first. */
  get sealed(): readonly Segment[] {
    return this.#sealed;
  }

  /** Events in the segment that is being written. */
  get activeEvents(): number {
    return this.#active?.events ?? 0;
  }

  /** Writes an event's line. False when the spool is full or the disk refuses; the event is then not in the spool. */
  append(line: string): boolean {
    const data = Buffer.from(`${line}\n`, 'utf8');
    if (this.#bytes + data.length > this.#settings.maxBytes) return false;
    try {
      if (Date.now() - this.#beatAtMs > CLIENT_SPOOL_LEASE_MILLISECONDS / 2) this.#keepFolder();
      this.#active ??= this.#openSegment();
      const active = this.#active;
      for (let written = 0; written < data.length; ) written += writeSync(active.fd, data, written);
      active.bytes += data.length;
      active.events++;
      this.#bytes += data.length;
      if (active.events >= this.#settings.segmentEvents || active.bytes >= this.#settings.segmentBytes) this.seal();
      else this.#syncSoon();
      return true;
    } catch (error) {
      // A line may stand there in part: nothing may be written behind it.
      this.seal();
      this.#settings.onError(new Error('the spool cannot be written', { cause: error }));
      return false;
    }
  }

  /** Ends the segment that is being written, if it has any event: it can be sent. */
  seal(): void {
    const active = this.#active;
    if (!active) return;
    this.#active = null;
    if (this.#settings.fsync === 'window') fdatasync(active.fd, () => close(active.fd, () => {}));
    else close(active.fd, () => {});
    if (active.events > 0) this.#sealed.push({ path: active.path, bytes: active.bytes, own: active.events });
  }

  /**
   * The lines of a segment, or null when it is gone (another process took it over). A last line without its end is of a
   * process that died while it wrote: `report` had not returned.
   */
  async read(segment: Segment): Promise<string[] | null> {
    let text: string;
    try {
      text = await readFile(segment.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    this.#bytes += Buffer.byteLength(text) - segment.bytes;
    segment.bytes = Buffer.byteLength(text);
    const lines = text.split('\n');
    const torn = lines.pop() !== '';
    if (torn) this.#settings.onError(new Error('the last line of a spooled segment was not written to its end'));
    // What this process wrote is whole; what a power failure left may be anything, and must not spoil the rest.
    return segment.own > 0 ? lines : this.#wholeLines(lines);
  }

  #wholeLines(lines: string[]): string[] {
    const damaged: string[] = [];
    const whole = lines.filter((line) => {
      try {
        JSON.parse(line);
        return true;
      } catch {
        damaged.push(line);
        return false;
      }
    });
    if (damaged.length > 0) {
      const kept = this.setAside(damaged);
      this.#settings.onError(new Error(`${damaged.length} spooled events are damaged; they were kept in ${kept}`));
    }
    return whole;
  }

  /** Takes a segment off the disk: all of its events are acknowledged or set aside. */
  async remove(segment: Segment): Promise<void> {
    try {
      // Its owner may have lived after all and written on while this process read.
      if ((await stat(segment.path)).size > segment.bytes) return;
      await unlink(segment.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#settings.onError(new Error('a sent segment cannot be deleted', { cause: error }));
      }
    }
    this.forget(segment);
  }

  /** The segment is not this spool's to send any more. */
  forget(segment: Segment): void {
    const at = this.#sealed.indexOf(segment);
    if (at < 0) return;
    this.#sealed.splice(at, 1);
    this.#bytes -= segment.bytes;
  }

  /** Keeps lines that the server refused where a person finds them; returns the file, or null when the disk refuses. */
  setAside(lines: readonly string[]): string | null {
    const folder = join(this.#settings.directory, REFUSED_FOLDER);
    const path = join(folder, newId('refused') + SEGMENT_SUFFIX);
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
      return path;
    } catch (error) {
      this.#settings.onError(new Error('refused events cannot be set aside', { cause: error }));
      return null;
    }
  }

  /** Stops; what is unsent stays on the disk for whoever opens this directory next. */
  close(): void {
    clearInterval(this.#heart);
    if (this.#syncTimer) clearTimeout(this.#syncTimer);
    this.seal();
    try {
      unlinkSync(ownerFile(this.#folder));
      if (this.#sealed.length === 0) rmSync(this.#folder, { recursive: true, force: true });
    } catch {
      // Taken over, or the disk refuses: others see an owner without a sign of life.
    }
  }

  #openSegment() {
    this.#segmentNumber++;
    // Alone in its folder; sorted by name as it was written.
    const path = join(this.#folder, `segment_${String(this.#segmentNumber).padStart(12, '0')}${SEGMENT_SUFFIX}`);
    return { fd: openSync(path, 'ax', 0o600), path, bytes: 0, events: 0 };
  }

  #syncSoon(): void {
    if (this.#settings.fsync === 'never' || this.#syncTimer) return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = null;
      const fd = this.#active?.fd;
      if (fd !== undefined) fdatasync(fd, () => {});
    }, this.#settings.windowMs).unref();
  }

  #beat(): void {
    try {
      this.#keepFolder();
      this.#adopt();
    } catch (error) {
      this.#settings.onError(new Error('the spool directory cannot be used', { cause: error }));
    }
  }

  /** Renews the lease, or begins a new folder where the old one was taken over. */
  #keepFolder(): void {
    if (!beat(this.#folder)) {
      this.#folder = makeOwnerFolder(this.#settings.directory);
      const active = this.#active;
      this.#active = null;
      if (active) closeSync(active.fd);
      const lost = this.#sealed.reduce((sum, segment) => sum + segment.own, active?.events ?? 0);
      this.#sealed = [];
      this.#bytes = 0;
      this.#settings.onHandedOver(lost);
    }
    this.#beatAtMs = Date.now();
  }

  #adopt(): void {
    const folders = adoptAbandoned(this.#settings.directory, this.#folder);
    let found = 0;
    for (const folder of folders) {
      const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith(SEGMENT_SUFFIX))
        .map((name) => join(folder, name))
        .sort();
      for (const path of paths) {
        const bytes = statSync(path).size;
        this.#sealed.push({ path, bytes, own: 0 });
        this.#bytes += bytes;
        found++;
      }
    }
    if (found > 0) this.#settings.onRecovered();
  }
}
