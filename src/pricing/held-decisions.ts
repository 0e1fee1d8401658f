import type { HeldDecision } from '../contracts/held-decision.js';
import type { HeldReason, UsageRow } from './pricing-result.js';

interface CompiledDecision {
  decision: HeldDecision;
  until_ms: number;
  event_ids: ReadonlySet<string> | null;
}

/** Finds the decision that a person made about an event that would be held. */
export class HeldDecisions {
  readonly #decisions: CompiledDecision[];
  readonly #unplaced: CompiledDecision[];

  /** Of several decisions about one event the newest counts. */
  constructor(decisions: readonly HeldDecision[]) {
    this.#decisions = [...decisions]
      .sort((a, b) => b.decision_id - a.decision_id)
      .map((decision) => ({
        decision,
        until_ms: Date.parse(decision.decided_at),
        event_ids: decision.event_ids === null ? null : new Set(decision.event_ids),
      }));
    this.#unplaced = this.#decisions.filter(({ decision }) => decision.unplaced);
  }

  /** Whether `findUnplaced` has to be asked. */
  get haveUnplaced(): boolean {
    return this.#unplaced.length > 0;
  }

  /** The decision about usage that no period took at the time: such rows name their events. */
  findUnplaced(row: UsageRow): HeldDecision | null {
    return this.#unplaced.find(({ event_ids }) => event_ids?.has(row.event_id))?.decision ?? null;
  }

  /** The decision about an event that would be held for this reason. */
  find(row: UsageRow, reason: HeldReason): HeldDecision | null {
    if (row.received_at_ms === undefined) return null;
    for (const { decision, until_ms, event_ids } of this.#decisions) {
      if (
        !decision.unplaced &&
        row.received_at_ms <= until_ms &&
        (decision.reason === null || decision.reason === reason) &&
        (decision.provider === null || decision.provider === row.provider) &&
        (decision.model_id === null || decision.model_id === row.model_id) &&
        (event_ids === null || event_ids.has(row.event_id))
      ) {
        return decision;
      }
    }
    return null;
  }
}
