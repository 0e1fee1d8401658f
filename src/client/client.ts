/** The public interface of `costplus/client`: what services install. Everything else of the package is internal. */
export type { EventResult, EventStatus } from '../contracts/event-result.js';
export type { UsageFormat } from '../contracts/patterns.js';
export { CostplusError } from '../errors/error.js';
export { detectFormat, fromResponse, type ResponseUsage } from '../usage/normalise.js';
export { costplusMiddleware } from './ai-sdk.js';
export type { UsageGap, WrapOptions } from './call-report.js';
export type { UsageEventInput } from './event-input.js';
export { periodStartDate } from './period-start-date.js';
export { type ResponseDetails, reportResponse, type UsageReporter } from './report-response.js';
export { createReporter, type Reporter } from './reporter.js';
export type {
  DroppedEvents,
  EventOutcome,
  ReporterOptions,
  ReporterStats,
  SpoolOptions,
} from './reporter-options.js';
export { type SignalledUsage, type SignalUsageOptions, signalUsage } from './temporal.js';
export { type ContextSource, type UsageContext, withUsageContext } from './usage-context.js';
export { wrapAnthropic } from './wrap-anthropic.js';
export { wrapGoogle } from './wrap-google.js';
export { type WrapOpenAIOptions, wrapOpenAI } from './wrap-openai.js';
