import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spool, type SpoolSettings } from '../../../src/client/spool.js';
import { adoptAbandoned, beat, makeOwnerFolder, ownerFile } from '../../../src/client/spool-owner.js';
import { CLIENT_SPOOL_LEASE_MILLISECONDS } from '../../../src/limits.js';

/** A process id that no process has: above the largest that Linux gives. */
const NOBODY = 2 ** 22 + 1;

describe('the folders of a spool', () => {
  let directory: string;
  let own: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'costplus-owners-'));
    own = makeOwnerFolder(directory);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** Another owner's folder, as that one's file describes it. */
  const other = (change: { pid?: number; scope?: string } = {}, quietForMs = 0): string => {
    const folder = makeOwnerFolder(directory);
    const written = JSON.parse(readFileSync(ownerFile(folder), 'utf8')) as object;
    writeFileSync(ownerFile(folder), JSON.stringify({ ...written, ...change }));
    const at = new Date(Date.now() - quietForMs);
    utimesSync(ownerFile(folder), at, at);
    return folder;
  };
  const adopted = () => adoptAbandoned(directory, own);

  it('of a living process are left alone', () => {
    const folder = other({ pid: process.ppid });
    expect(adopted()).toEqual([]);
    expect(existsSync(folder)).toBe(true);
  });

  it('of a process that is gone are taken over at once', () => {
    const folder = other({ pid: NOBODY });
    expect(adopted()).toHaveLength(1);
    expect(existsSync(folder)).toBe(false);
    expect(adopted()).toEqual([]);
  });

  it('of other hosts and containers, where process ids mean nothing here, are left alone for a lease', () => {
    other({ pid: NOBODY, scope: `${hostname()} pid:[1]` }, CLIENT_SPOOL_LEASE_MILLISECONDS / 2);
    expect(adopted()).toEqual([]);
    other({ pid: NOBODY, scope: 'elsewhere' }, CLIENT_SPOOL_LEASE_MILLISECONDS + 1_000);
    expect(adopted()).toHaveLength(1);
  });

  it('of another reporter of the same process are left alone for a lease', () => {
    other();
    expect(adopted()).toEqual([]);
    other({}, CLIENT_SPOOL_LEASE_MILLISECONDS + 1_000);
    expect(adopted()).toHaveLength(1);
  });

  it('without an owner were left in order, and are taken over', () => {
    rmSync(ownerFile(other()));
    expect(adopted()).toHaveLength(1);
  });

  it('tell their owner that they were taken over', () => {
    expect(beat(own)).toBe(true);
    const heir = makeOwnerFolder(directory);
    rmSync(ownerFile(own));
    adoptAbandoned(directory, heir);
    expect(beat(own)).toBe(false);
  });
});

describe('a spool', () => {
  let directory: string;
  let handedOver: number;
  let errors: Error[];
  const spools: Spool[] = [];

  const open = (over: Partial<SpoolSettings> = {}): Spool => {
    const spool = new Spool({
      directory,
      fsync: 'window',
      windowMs: 5,
      maxBytes: 1_000_000,
      segmentEvents: 10,
      segmentBytes: 1_000,
      onError: (error) => void errors.push(error),
      onHandedOver: (events) => {
        handedOver += events;
      },
      onRecovered: () => {},
      ...over,
    });
    spools.push(spool);
    return spool;
  };
  const line = (id: number) => `{"event_id":"evt_${id}"}`;
  const lines = async (spool: Spool) => (await Promise.all(spool.sealed.map((segment) => spool.read(segment)))).flat();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'costplus-segments-'));
    handedOver = 0;
    errors = [];
  });
  afterEach(() => {
    for (const spool of spools.splice(0)) spool.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('begins a new segment when one is full, by number or by bytes', async () => {
    const spool = open();
    for (let i = 0; i < 25; i++) spool.append(line(i));
    expect(spool.sealed.map(({ own }) => own)).toEqual([10, 10]);
    expect(spool.activeEvents).toBe(5);
    spool.append(`{"pad":"${'x'.repeat(1_000)}"}`);
    expect(spool.sealed.map(({ own }) => own)).toEqual([10, 10, 6]);
    expect((await lines(spool)).slice(0, 25)).toEqual(Array.from({ length: 25 }, (_, i) => line(i)));
  });

  it('hands on in order what it left', async () => {
    const first = open();
    for (let i = 0; i < 25; i++) first.append(line(i));
    first.close();
    expect(await lines(open())).toEqual(Array.from({ length: 25 }, (_, i) => line(i)));
  });

  it('leaves out a last line that was not written to its end, and keeps damaged lines for people', async () => {
    const first = open();
    first.append(line(1));
    first.seal();
    appendFileSync(first.sealed[0]!.path, `\u0000\u0000\u0000\n${line(2)}\n{"event_id":"ev`);
    first.close();
    const second = open();
    expect(await lines(second)).toEqual([line(1), line(2)]);
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('not written to its end'),
      expect.stringContaining('1 spooled events are damaged'),
    ]);
    expect(readdirSync(join(directory, 'refused'))).toHaveLength(1);
  });

  it('does not delete a segment that its owner wrote on after it was read', async () => {
    const first = open();
    first.append(line(1));
    first.seal();
    first.close();
    const second = open();
    const [segment] = second.sealed;
    expect(await second.read(segment!)).toEqual([line(1)]);
    appendFileSync(segment!.path, `${line(2)}\n`);
    await second.remove(segment!);
    expect(await lines(second)).toEqual([line(1), line(2)]);
  });

  it('begins a new folder when it finds its own taken over, and says how many events it handed over', async () => {
    const stopped = open();
    for (let i = 0; i < 12; i++) stopped.append(line(i));
    const [folder] = readdirSync(directory);
    rmSync(ownerFile(join(directory, folder!)));
    const heir = open();
    expect(await lines(heir)).toHaveLength(12);

    const now = Date.now();
    const { now: realNow } = Date;
    try {
      Date.now = () => now + CLIENT_SPOOL_LEASE_MILLISECONDS;
      expect(stopped.append(line(12))).toBe(true);
    } finally {
      Date.now = realNow;
    }
    expect(handedOver).toBe(12);
    stopped.seal();
    expect(await lines(stopped)).toEqual([line(12)]);
  });
});
