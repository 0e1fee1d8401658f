import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveWindowMs, RelayQueue } from '../../../src/ledger/relay-queue.js';

const WINDOW_MS = 5_000;
const window = () => WINDOW_MS;

describe('the order of nudges', () => {
  it('nudges a period that was quiet at once, and then once a window', () => {
    const queue = new RelayQueue();
    queue.mark(1, 10n, 0);
    expect(queue.due(0, 10, window)).toHaveLength(1);
    queue.nudged(1, 10n, 0);
    queue.mark(1, 11n, 100);
    expect(queue.due(4_999, 10, window)).toEqual([]);
    expect(queue.due(5_000, 10, window)).toMatchObject([{ periodId: 1, chunk: 11n }]);
  });

  it('takes those that wait longest first when the budget is short', () => {
    const queue = new RelayQueue();
    queue.mark(3, 1n, 30);
    queue.mark(1, 1n, 10);
    queue.mark(2, 1n, 20);
    expect(queue.due(100, 2, window).map(({ periodId }) => periodId)).toEqual([1, 2]);
  });

  it('keeps the mark of a commit that came while the nudge for an earlier one was on its way', () => {
    const queue = new RelayQueue();
    queue.mark(1, 10n, 0);
    const [due] = queue.due(0, 1, window);
    queue.mark(1, 12n, 5);
    queue.nudged(1, due!.chunk, 10);
    expect(queue.size).toBe(1);
    expect(queue.due(10 + WINDOW_MS, 1, window)).toMatchObject([{ periodId: 1, chunk: 12n }]);
  });

  it('lets others go first after the engine refused a nudge, and forgets neither the mark nor its age', () => {
    const queue = new RelayQueue();
    queue.mark(1, 10n, 0);
    queue.mark(2, 10n, 50);
    queue.refused(1, 5_000);
    expect(queue.due(100, 1, window).map(({ periodId }) => periodId)).toEqual([2]);
    queue.nudged(2, 10n, 100);
    expect(queue.due(4_999, 10, window)).toEqual([]);
    expect(queue.due(5_000, 10, window)).toMatchObject([{ periodId: 1, chunk: 10n }]);
    expect(queue.lagMs(5_000)).toBe(5_000);
  });

  it('never loses a commit: whatever the order of marks and nudges, each is covered by a later nudge or still waits', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('mark' as const), period: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('tick' as const), budget: fc.integer({ min: 0, max: 3 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new RelayQueue();
        const newest = new Map<number, bigint>();
        const covered = new Map<number, bigint>();
        let chunk = 0n;
        let now = 0;
        for (const one of steps) {
          now += 700;
          if (one.kind === 'mark') {
            chunk++;
            newest.set(one.period, chunk);
            queue.mark(one.period, chunk, now);
          } else {
            for (const due of queue.due(now, one.budget, window)) {
              covered.set(due.periodId, due.chunk);
              queue.nudged(due.periodId, due.chunk, now);
            }
          }
        }
        now += WINDOW_MS + 1;
        for (const due of queue.due(now, 100, window)) covered.set(due.periodId, due.chunk);
        expect([...newest].every(([period, mark]) => covered.get(period) === mark)).toBe(true);
      }),
    );
  });

  it('forgets periods that are quiet, and not those that wait', () => {
    const queue = new RelayQueue();
    queue.mark(1, 1n, 0);
    queue.nudged(1, 1n, 0);
    queue.mark(2, 1n, 0);
    queue.nudged(2, 1n, 0);
    queue.mark(2, 2n, 10);
    queue.forgetBefore(1_000);
    expect(queue.lastNudgedMs(1)).toBeNull();
    expect(queue.lastNudgedMs(2)).toBe(0);
  });

  it('widens the window when the signal budget cannot serve every period in it', () => {
    expect(effectiveWindowMs(5_000, 50, 20)).toBe(5_000);
    expect(effectiveWindowMs(5_000, 200, 20)).toBe(10_000);
  });
});
