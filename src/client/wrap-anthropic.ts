import { CallReport, type WrapOptions } from './call-report.js';
import { observeCall } from './observe-call.js';
import { type Interceptor, wrapMethods } from './wrap-methods.js';

/** What of Anthropic's client is wrapped. */
interface AnthropicLike {
  messages: { create: unknown };
}

/**
 * The same client, whose `messages.create` and `beta.messages.create` report their usage, and with them the helpers
 * that call these: `messages.stream()`, `.parse()`, tool runners. A stream that is left before its end reports the last
 * usage that it told: the input, and the output as far as it was counted. The client that is passed in stays as it was; one that was wrapped before
 * reports by the new options only.
 */
export function wrapAnthropic<T extends AnthropicLike>(client: T, options: WrapOptions): T {
  return wrapMethods(client, {
    'messages.create': reporting('messages.create', options),
    'beta.messages.create': reporting('beta.messages.create', options),
    withOptions: (call, args) => wrapAnthropic(call(...args) as T, options),
  });
}

function reporting(operation: string, options: WrapOptions): Interceptor {
  return (call, args) => {
    const report = CallReport.begin(options, operation, args[0]);
    const promise = call(...args);
    return report ? observeCall(promise, 'anthropic.messages', report) : promise;
  };
}
