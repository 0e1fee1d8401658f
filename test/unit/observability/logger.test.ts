import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CostplusError } from '../../../src/errors/error.js';
import { createLogger, describeError, logActivity } from '../../../src/observability/logger.js';

describe('the log', () => {
  const lines: string[] = [];
  const logger = createLogger('info', 'worker', { write: (line) => void lines.push(line) });
  const last = () => JSON.parse(lines.at(-1)!) as Record<string, unknown>;

  it('is one JSON object a line with level, process and time in RFC 3339', () => {
    logger.info({ a: 1 }, 'hello');
    expect(last()).toEqual({
      level: 'info',
      process: 'worker',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      a: 1,
      msg: 'hello',
    });
  });

  it.each(['authorization', 'headers', 'key', 'secret', 'password', 'body', 'payload', 'events'])(
    'never shows %s, and shows a count of that name',
    (name) => {
      logger.info({ [name]: 'sk_live_1', inner: { [name]: { deep: 'sk_live_1' } } }, 'x');
      expect(lines.at(-1)).not.toContain('sk_live_1');
      logger.info({ counts: { [name]: 12 } }, 'x');
      expect(last()).toMatchObject({ counts: { [name]: 12 } });
    },
  );

  it('shows what our own errors say, and where they were thrown', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });
    expect(describeError(new CostplusError('engine_unavailable', 'try again', { cause }))).toMatchObject({
      type: 'CostplusError',
      code: 'engine_unavailable',
      message: 'try again',
      frames: expect.arrayContaining([expect.stringContaining('logger.test.ts')]),
      cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
    });
  });

  it.each([
    ['a JSON syntax error', () => JSON.parse('{"prompt": tell me')],
    ['a conversion error', () => BigInt('tell me')],
    ['a validation error', () => z.strictObject({}).parse({ 'tell me': 1 })],
    [
      'a database error',
      () => {
        throw Object.assign(new Error('invalid input syntax for type date: "tell me"'), {
          severity: 'ERROR',
          code: '22007',
          detail: 'tell me',
        });
      },
    ],
    [
      'something that is no error',
      () => {
        throw 'tell me';
      },
    ],
  ])('leaves out the message of %s, which may quote what was received', (_name, fail) => {
    try {
      fail();
    } catch (error) {
      logger.error({ error }, 'failed');
      logger.error({ err: error }, 'failed');
    }
    expect(lines.slice(-2).join('')).not.toContain('tell me');
    expect(last()).toMatchObject({ level: 'error', err: { type: expect.any(String) } });
  });

  it('has one line for an activity attempt; a failed one is a warning', () => {
    const attempt = { activity: 'priceUsage', workflow_id: 'billing-period/acme/2026-11-01', duration_ms: 3 };
    logActivity(logger, { ...attempt, attempt: 1, outcome: 'failed', error_code: 'stale_inputs' });
    expect(last()).toMatchObject({ level: 'warn', msg: 'activity', error_code: 'stale_inputs' });
    logActivity(logger, { ...attempt, attempt: 2, outcome: 'completed' });
    expect(last()).toMatchObject({ level: 'info', attempt: 2 });
  });
});
