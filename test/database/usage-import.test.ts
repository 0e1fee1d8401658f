import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient } from '../../src/cli/api-client.js';
import { runCommandLine } from '../../src/cli/command-line.js';
import { CommandFailure, EXIT_FAILED, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE } from '../../src/cli/exit-codes.js';
import { readCsv, readJsonLines } from '../../src/cli/import-rows.js';
import { fingerprintOf, newState, readState } from '../../src/cli/import-state.js';
import { importUsage } from '../../src/cli/import-usage.js';
import { ProgressBar, progressLine } from '../../src/cli/progress-bar.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { IMPORT_BATCH_EVENTS_COUNT, IMPORT_ROW_BYTES } from '../../src/limits.js';
import { createSource } from '../../src/sources/sources.js';
import { makeCustomer, publishTestCatalog, startTestApi, type TestApi, usageEvent } from '../support/http.js';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

describe('costplus usage import', () => {
  let api: TestApi;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    api = await startTestApi({ now: Date.now });
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    folder = await mkdtemp(join(tmpdir(), 'costplus-import-'));
    await createSource(api.pool, api.deps.encryptionKey, { source_id: 'importer', secret: SECRET, may_backfill: true });
    environment = {
      COSTPLUS_URL: await api.server.listen({ host: '127.0.0.1', port: 0 }),
      COSTPLUS_API_KEY: await createApiKey(api.pool, { role: 'service', name: 'importer', source_id: 'importer' }),
      COSTPLUS_SIGNING_SECRET: SECRET,
      COSTPLUS_HOME: folder,
    };
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  async function run(...args: string[]): Promise<{ code: number; out: Record<string, unknown>; error: string }> {
    const written = { out: [] as string[], error: [] as string[] };
    const code = await runCommandLine(['usage', 'import', ...args, '--json'], {
      environment,
      output: { out: (text) => void written.out.push(text), error: (text) => void written.error.push(text) },
    });
    return { code, out: JSON.parse(written.out.join('') || '{}'), error: written.error.join('') };
  }
  const file = async (name: string, content: string | Buffer) => {
    const path = join(folder, name);
    await writeFile(path, content);
    return path;
  };
  const lines = (values: unknown[]) => `${values.map((value) => JSON.stringify(value)).join('\n')}\n`;
  const stored = async (prefix: string) =>
    (
      await api.pool.query<{ event_id: string }>('SELECT event_id FROM usage_events WHERE event_id LIKE $1', [
        `${prefix}%`,
      ])
    ).rows.map(({ event_id }) => event_id);
  const report = async (path: string) =>
    (await readFile(`${path}.refused.jsonl`, 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));

  it('sends a file of any age, signed, and reports every row that is refused with its line and why', async () => {
    const path = await file(
      'mixed.jsonl',
      Buffer.concat([
        Buffer.from(lines([usageEvent('m1'), usageEvent('m2', { occurred_at: '2024-01-02T03:04:05Z' })])),
        Buffer.from('{"event_id": "m3", "event_id": "m3"}\n\nnot json\n'),
        Buffer.from(`${JSON.stringify({ text: 'x'.repeat(IMPORT_ROW_BYTES) })}\n`),
        Buffer.from(
          lines([usageEvent('m4', { occurred_at: '2026-11-24T11:58:00' }), usageEvent('m5', { prompt: 'x' })]),
        ),
        Buffer.from([0x22, 0xff, 0x22, 0x0a]),
        Buffer.from(lines([usageEvent('m6', { occurred_at: '2099-01-01T00:00:00Z' })]).trimEnd()),
      ]),
    );
    const { code, out, error } = await run(path);
    expect([code, out]).toEqual([
      EXIT_FAILED,
      { rows: 9, accepted: 1, held: 1, rejected: 1, refused: 7, report: `${path}.refused.jsonl` },
    ]);
    expect(error).toContain('7 of 9 rows are refused');
    expect(await stored('m')).toHaveLength(2);
    expect(await report(path)).toEqual([
      { line: 3, event_id: null, status: 'rejected', detail: 'is not valid JSON in UTF-8, or has a key twice' },
      { line: 5, event_id: null, status: 'rejected', detail: 'is not valid JSON in UTF-8, or has a key twice' },
      { line: 6, event_id: null, status: 'rejected', detail: `is longer than ${IMPORT_ROW_BYTES} bytes` },
      { line: 7, event_id: null, status: 'rejected', field: 'occurred_at', detail: expect.stringContaining('zone') },
      { line: 8, event_id: null, status: 'rejected', field: 'prompt', detail: 'is not a known field' },
      { line: 9, event_id: null, status: 'rejected', detail: expect.any(String) },
      { line: 10, event_id: 'm6', status: 'rejected', reason: 'in_future' },
    ]);
  });

  it('sends nothing in a dry run', async () => {
    const path = await file('dry.jsonl', lines([usageEvent('dry-1'), { event_id: 'dry-2' }]));
    expect(await run(path, '--dry-run')).toMatchObject({ code: EXIT_FAILED, out: { rows: 2, refused: 1 } });
    expect(await stored('dry-')).toEqual([]);
    expect(await report(path)).toMatchObject([{ line: 2, field: 'customer_id' }]);
  });

  it('reads CSV by its header, with columns mapped, set, ignored, and an id made of columns', async () => {
    const csv = [
      'when,who,model,tokens_in,output_tokens,usage.web_searches,dimensions.team,note',
      '2026-11-24T11:58:00Z,acme,claude-x,1200,310,,search,"a, b"',
      '2026-11-24T11:59:00Z,acme,claude-x,10,5,,"two',
      'lines",x',
      '2026-11-24T11:59:00Z,acme,claude-x,1.5,5,,search,x',
      '2026-11-24T11:59:00Z,acme',
      '2026-11-24T12:00:00Z,acme,claude-x,7,0,,search,last',
    ].join('\r\n');
    const path = await file('usage.csv', `\ufeff${csv}\r\n`);
    const flags = [
      '--map',
      'when=occurred_at',
      '--map',
      'who=customer_id',
      '--map',
      'model=model_id',
      '--map',
      'tokens_in=input_tokens',
    ];
    const unmapped = await run(path, ...flags);
    expect(unmapped).toMatchObject({ code: EXIT_USAGE, error: expect.stringContaining('note') });
    const all = [
      ...flags,
      '--ignore',
      'note',
      '--set',
      'provider=anthropic',
      '--id-from',
      'when',
      '--id-from',
      'who',
      '--id-from',
      'tokens_in',
    ];
    expect(await run(path, ...all)).toMatchObject({ code: EXIT_FAILED, out: { rows: 5, accepted: 2, refused: 3 } });
    const reported = await report(path);
    expect(reported.map(({ line, field }) => [line, field]).sort()).toEqual([
      [4, 'dimensions.team'],
      [5, 'usage.input_tokens'],
      [6, undefined],
    ]);
    const { rows } = await api.pool.query(
      `SELECT usage, dimensions, provider, occurred_at FROM usage_events WHERE event_id LIKE 'csv:%' ORDER BY occurred_at`,
    );
    expect(rows).toEqual([
      {
        usage: { input_tokens: 1200, output_tokens: 310 },
        dimensions: { team: 'search' },
        provider: 'anthropic',
        occurred_at: new Date('2026-11-24T11:58:00Z'),
      },
      {
        usage: { input_tokens: 7 },
        dimensions: { team: 'search' },
        provider: 'anthropic',
        occurred_at: new Date('2026-11-24T12:00:00Z'),
      },
    ]);
    expect(await run(path, ...all)).toMatchObject({ out: { rows: 5, duplicate: 2, refused: 3 } });
  });

  it.each([
    ['b1,"x" y\nb2,fine\n', 2],
    ['b1,fine\nb2,"never closed\nb3,x\n', 4],
    [`b1,fine\nb2,"${'never closed\n'.repeat(IMPORT_ROW_BYTES / 10)}`, expect.any(Number)],
  ])('stops where a quote hides the beginning of the next row', async (rows, line) => {
    const path = await file('broken.csv', `event_id,feature\n${rows}`);
    const { code, error } = await run(path, '--dry-run');
    expect(code).toBe(EXIT_FAILED);
    expect(error).toContain('is not valid CSV');
    expect(Number(/^costplus: Line (\d+) is/.exec(error)?.[1])).toEqual(line);
    expect(error).not.toContain('closed\n');
  });

  it('goes on where it stopped, and nothing counts twice or is lost', async () => {
    const events = Array.from({ length: IMPORT_BATCH_EVENTS_COUNT * 3 + 7 }, (_, i) => usageEvent(`resume-${i}`));
    const path = await file('resume.jsonl', lines(events));
    const statePath = `${path}.import-state`;
    const { file: name, bytes } = await fingerprintOf(path);
    const client = new ApiClient({
      url: environment.COSTPLUS_URL!,
      key: environment.COSTPLUS_API_KEY!,
      secret: SECRET,
    });
    let calls = 0;
    const failing = {
      // The second batch is taken and its answer is lost, again and again.
      post: async (url: string, body: unknown) => {
        const answer = await client.post(url, body);
        if (++calls > 1) throw new CommandFailure(EXIT_UNREACHABLE, 'No answer.');
        return answer;
      },
    };
    const bar = new ProgressBar({ isTTY: false, columns: 80, write: () => undefined });
    const attempt = importUsage({
      file: readJsonLines(path),
      fileBytes: bytes,
      state: newState(name),
      statePath,
      reportPath: `${path}.refused.jsonl`,
      api: failing,
      bar,
      pauseMs: () => 0,
    });
    await expect(attempt).rejects.toMatchObject({ exitCode: EXIT_UNREACHABLE });
    expect(await readState(statePath, name)).toMatchObject({
      line: IMPORT_BATCH_EVENTS_COUNT,
      rows: IMPORT_BATCH_EVENTS_COUNT,
    });

    expect(await run(path)).toEqual({
      code: EXIT_OK,
      error: '',
      out: {
        rows: events.length,
        resumed_after: IMPORT_BATCH_EVENTS_COUNT,
        accepted: IMPORT_BATCH_EVENTS_COUNT * 2 + 7,
        duplicate: IMPORT_BATCH_EVENTS_COUNT,
        refused: 0,
        report: `${path}.refused.jsonl`,
      },
    });
    expect(await stored('resume-')).toHaveLength(events.length);
    await expect(stat(statePath)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('does not go on with another file under the same name', async () => {
    const path = await file('changed.jsonl', lines([usageEvent('changed-1')]));
    await writeFile(`${path}.import-state`, JSON.stringify({ ...newState('1-other'), line: 5 }));
    expect(await run(path)).toMatchObject({ code: EXIT_USAGE, error: expect.stringContaining('--restart') });
    expect(await run(path, '--restart')).toMatchObject({ code: EXIT_OK, out: { accepted: 1 } });
    expect(await run(join(folder, 'none.jsonl'))).toMatchObject({ code: EXIT_USAGE });
  });

  it('reads rows that do not end where a chunk of the file ends', async () => {
    const rows = Array.from({ length: 3_000 }, (_, i) =>
      usageEvent(`chunk-${i}`, { feature: 'x'.repeat(i % 100) || 'x' }),
    );
    const path = await file('chunks.jsonl', lines(rows));
    const read: unknown[] = [];
    for await (const row of readJsonLines(path).rows) read.push(row.event);
    expect(read).toEqual(rows);
    const csv = await file(
      'chunks.csv',
      `event_id,feature\n${rows.map((row) => `${row.event_id},${row.feature}`).join('\n')}`,
    );
    const ids: unknown[] = [];
    for await (const row of readCsv(csv, { map: {}, set: {}, ignore: [], idFrom: [] }).rows) ids.push(row.event);
    expect(ids).toEqual(rows.map(({ event_id, feature }) => ({ event_id, feature })));
  });

  it('draws a bar that fits on a terminal, and nothing elsewhere', () => {
    expect(progressLine(0.5, 12_345, 678.4, 80)).toBe(
      '[####################--------------------]  50%  12,345 rows  678/s',
    );
    expect(progressLine(2, 1, 0, 20)).toBe('100%  1 rows  0/s');
    const drawn: string[] = [];
    const terminal = { isTTY: true, columns: 60, write: (text: string) => void drawn.push(text) };
    new ProgressBar(terminal).show(0.1, 1);
    new ProgressBar({ ...terminal, isTTY: false }).show(0.1, 1);
    expect(drawn).toHaveLength(1);
    expect(drawn[0]).toContain('10%');
  });
});
