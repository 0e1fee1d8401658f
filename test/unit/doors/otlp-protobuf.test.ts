import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { describe, expect, test } from 'vitest';
import { decodeTraceRequest, encodeTraceAnswer } from '../../../src/doors/otlp-protobuf.js';
import { readSpans } from '../../../src/doors/otlp-spans.js';
import { readTraceSpan } from '../../../src/doors/otlp-traces.js';

/** Spans as the OpenTelemetry SDK for JavaScript ends them. */
function sdkSpans() {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const span = provider.getTracer('app').startSpan('chat claude-x', {
    startTime: new Date('2026-11-24T11:58:00.250Z'),
    attributes: {
      'costplus.customer_id': 'acme',
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'aws.bedrock',
      'gen_ai.request.model': 'claude-x',
      'gen_ai.usage.input_tokens': 2_000,
      'gen_ai.usage.output_tokens': 310,
      'gen_ai.usage.total_cost': 0.0086,
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.input.messages': 'Dear doctor',
    },
  });
  span.addEvent('gen_ai.choice', { content: 'Dear patient' });
  span.end();
  return exporter.getFinishedSpans();
}

describe('OTLP from the OpenTelemetry SDK', () => {
  const spans = sdkSpans();
  const { traceId, spanId } = spans[0]!.spanContext();

  test('protobuf and JSON are read into the same event', () => {
    const fromProtobuf = readSpans(decodeTraceRequest(Buffer.from(ProtobufTraceSerializer.serializeRequest(spans)!)))!;
    const fromJson = readSpans(JSON.parse(Buffer.from(JsonTraceSerializer.serializeRequest(spans)!).toString()))!;
    expect(fromProtobuf).toEqual(fromJson);
    expect(fromProtobuf).toHaveLength(1);
    expect(readTraceSpan(fromProtobuf[0]!, 0)).toEqual({
      event: {
        event_id: `otel:${traceId}:${spanId}`,
        customer_id: 'acme',
        provider: 'aws',
        model_id: 'claude-x',
        occurred_at: '2026-11-24T11:58:00.250Z',
        provider_usage: { format: 'opentelemetry.gen_ai', usage: { input_tokens: 2_000, output_tokens: 310 } },
        action_id: traceId,
        reported_cost: { amount: '0.0086', currency: 'usd' },
      },
      marks: [],
    });
  });

  test('prompts and events do not even become objects', () => {
    const bytes = Buffer.from(ProtobufTraceSerializer.serializeRequest(spans)!);
    expect(bytes.toString('latin1')).toContain('Dear doctor');
    expect(JSON.stringify(decodeTraceRequest(bytes))).not.toContain('Dear patient');
    expect(JSON.stringify([...readSpans(decodeTraceRequest(bytes))![0]!.attributes])).not.toContain('Dear doctor');
  });

  test('the answer is what the SDK reads', () => {
    const answer = encodeTraceAnswer({
      partialSuccess: { rejectedSpans: '2', errorMessage: 'spans[1].spanId is missing' },
    });
    const read = ProtobufTraceSerializer.deserializeResponse(answer);
    expect(Number(read.partialSuccess?.rejectedSpans)).toBe(2);
    expect(read.partialSuccess?.errorMessage).toBe('spans[1].spanId is missing');
    expect(encodeTraceAnswer({})).toHaveLength(0);
  });

  test.each([
    ['text', Buffer.from('hello')],
    ['a cut message', Buffer.from(ProtobufTraceSerializer.serializeRequest(spans)!).subarray(0, 40)],
  ])('refuses %s', (_name, bytes) => {
    expect(() => decodeTraceRequest(bytes)).toThrow('not an OTLP export request');
  });
});
