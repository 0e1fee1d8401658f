import type { HeldGroup, HeldReason, UsageRow, WrittenOffGroup } from './pricing-result.js';

/** Counts events that are not priced: held ones, and those that a person wrote off. */
export class HeldSums {
  readonly #held = new Map<string, HeldGroup>();
  readonly #writtenOff = new Map<string, WrittenOffGroup>();

  hold({ provider, model_id }: UsageRow, reason: HeldReason, meter: string | null): void {
    count(this.#held, { reason, provider, model_id, meter, events: 1 });
  }

  writeOff({ provider, model_id }: UsageRow, decisionId: number, reason: HeldReason, meter: string | null): void {
    count(this.#writtenOff, { decision_id: decisionId, reason, provider, model_id, meter, events: 1 });
  }

  /** In no order. */
  get held(): HeldGroup[] {
    return [...this.#held.values()];
  }

  /** In no order. */
  get writtenOff(): WrittenOffGroup[] {
    return [...this.#writtenOff.values()];
  }
}

function count<Group extends HeldGroup>(groups: Map<string, Group>, one: Group): void {
  const key = JSON.stringify(Object.values(one));
  const group = groups.get(key);
  if (group) group.events++;
  else groups.set(key, one);
}
