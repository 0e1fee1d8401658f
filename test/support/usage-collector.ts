import type { UsageGap, WrapOptions } from '../../src/client/call-report.js';
import { type PreparedEvent, prepareEvent, type UsageEventInput } from '../../src/client/event-input.js';
import type { ReceivedUsageEvent, UsageEvent } from '../../src/contracts/usage-event.js';
import { toUsageEvent } from '../../src/usage/usage-event.js';

/** Takes the events of wrapped clients, and reads them as the server would. */
export class UsageCollector {
  readonly reported: ReceivedUsageEvent[] = [];
  readonly gaps: UsageGap[] = [];

  readonly reporter = {
    report: (input: UsageEventInput): string => {
      const prepared = prepareEvent(input, null);
      if ('rejected' in prepared) throw new Error(`${prepared.rejected.field} ${prepared.rejected.reason}`);
      this.reported.push(JSON.parse((prepared as PreparedEvent).text) as ReceivedUsageEvent);
      return prepared.event_id;
    },
  };

  /** Options of a wrapper whose calls are acme's. */
  get options(): WrapOptions {
    return {
      reporter: this.reporter,
      context: { customer_id: 'acme', feature: 'report' },
      onGap: (gap) => void this.gaps.push(gap),
    };
  }

  get events(): UsageEvent[] {
    return this.reported.map((event) => toUsageEvent(event, { source_id: null, default_provider: null }));
  }

  /** The one event that was reported; throws where there is another number of them. */
  get only(): UsageEvent {
    const { events } = this;
    if (events.length !== 1) throw new Error(`${events.length} events, ${JSON.stringify(this.gaps)}`);
    return events[0]!;
  }
}
