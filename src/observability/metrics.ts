import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Requests take from below a millisecond (a cached key refused) to seconds (a preview of a large period). */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Activities run from milliseconds to minutes. */
const ACTIVITY_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300];

/**
 * Every metric of costplus, on a registry of its own. docs/reference/metrics.md describes the same names, and a test
 * compares the two both ways. Labels take few values: never a customer, an event or a model.
 */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    httpRequests: new Counter({
      name: 'costplus_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
    httpDuration: new Histogram({
      name: 'costplus_http_request_duration_seconds',
      help: 'Time from the first byte of a request to the end of its answer.',
      labelNames: ['method', 'route'] as const,
      buckets: REQUEST_SECONDS,
      registers,
    }),
    signatureFailures: new Counter({
      name: 'costplus_signature_failures_total',
      help: 'Usage requests and events refused because of their signature.',
      labelNames: ['of'] as const,
      registers,
    }),
    usageEvents: new Counter({
      name: 'costplus_usage_events_total',
      help: 'Usage events answered, by result status.',
      labelNames: ['status'] as const,
      registers,
    }),
    appendQueue: new Gauge({
      name: 'costplus_append_queue_events',
      help: 'Usage events that wait for their commit.',
      registers,
    }),
    chunkEvents: new Histogram({
      name: 'costplus_append_chunk_events',
      help: 'Usage events that one append transaction committed.',
      buckets: [1, 5, 10, 50, 100, 250, 500, 1_000],
      registers,
    }),
    relayLag: new Gauge({
      name: 'costplus_relay_lag_seconds',
      help: 'Age of the oldest committed usage that is not priced yet.',
      registers,
    }),
    relaySignals: new Counter({
      name: 'costplus_relay_signals_total',
      help: 'Signals that the relay sent to billing period workflows, by outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    placedEvents: new Counter({
      name: 'costplus_usage_placed_events_total',
      help: 'Waiting usage events that the sweep gave their period.',
      registers,
    }),
    pricingEvents: new Counter({
      name: 'costplus_pricing_events_total',
      help: 'Usage events that pricing runs summed.',
      registers,
    }),
    reportedCostDrifts: new Counter({
      name: 'costplus_reported_cost_drifts_total',
      help: 'Models and sources of a period whose reported costs were found beyond the tolerance.',
      registers,
    }),
    approvalReminders: new Counter({
      name: 'costplus_approval_reminders_total',
      help: 'Reminders of invoices that wait for approval.',
      registers,
    }),
    lateEvents: new Gauge({
      name: 'costplus_late_usage_events',
      help: 'Late usage events that wait, by what becomes of them.',
      labelNames: ['becomes'] as const,
      registers,
    }),
    activityAttempts: new Counter({
      name: 'costplus_activity_attempts_total',
      help: 'Attempts of Temporal activities, by outcome.',
      labelNames: ['activity', 'outcome'] as const,
      registers,
    }),
    activityDuration: new Histogram({
      name: 'costplus_activity_duration_seconds',
      help: 'Time of one activity attempt.',
      labelNames: ['activity'] as const,
      buckets: ACTIVITY_SECONDS,
      registers,
    }),
    stripeCalls: new Counter({
      name: 'costplus_stripe_calls_total',
      help: 'Calls to Stripe, by operation and outcome.',
      labelNames: ['operation', 'outcome'] as const,
      registers,
    }),
    stripeDuration: new Histogram({
      name: 'costplus_stripe_call_duration_seconds',
      help: 'Time of one call to Stripe.',
      labelNames: ['operation'] as const,
      buckets: REQUEST_SECONDS,
      registers,
    }),
    stripeWebhooks: new Counter({
      name: 'costplus_stripe_webhooks_total',
      help: "Deliveries of Stripe's webhook, by outcome.",
      labelNames: ['outcome'] as const,
      registers,
    }),
    periods: new Gauge({
      name: 'costplus_periods',
      help: 'Billing periods by status.',
      labelNames: ['status'] as const,
      registers,
    }),
    stripeAlerts: new Gauge({
      name: 'costplus_stripe_alerts',
      help: 'Standing alerts about Stripe, by kind.',
      labelNames: ['kind'] as const,
      registers,
    }),
    poolConnections: new Gauge({
      name: 'costplus_database_connections',
      help: 'Database connections of this process, by state, and requests that wait for one.',
      labelNames: ['state'] as const,
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Adds the process and Node.js metrics of prom-client (`process_*`, `nodejs_*`). Once in a process. */
export function collectProcessMetrics(metrics: Metrics): void {
  collectDefaultMetrics({ register: metrics.registry });
}

/** Counts calls to Stripe and their time; for the Stripe client's `onCall`. */
export function observeStripeCalls(metrics: Metrics): (operation: string, outcome: string, seconds: number) => void {
  return (operation, outcome, seconds) => {
    metrics.stripeCalls.inc({ operation, outcome });
    metrics.stripeDuration.observe({ operation }, seconds);
  };
}
