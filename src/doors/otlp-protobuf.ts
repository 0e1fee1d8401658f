import protobuf from 'protobufjs';
import { CostplusError } from '../errors/error.js';

/**
 * The members of OTLP's messages that the door reads, with the field numbers of opentelemetry/proto (stable since 1.0).
 * Members that do not stand here, events and links among them, are skipped by the decoder and never become objects.
 */
const root = protobuf.Root.fromJSON({
  nested: {
    ExportTraceServiceRequest: {
      fields: { resourceSpans: { rule: 'repeated', type: 'ResourceSpans', id: 1 } },
    },
    ResourceSpans: {
      fields: { resource: { type: 'Resource', id: 1 }, scopeSpans: { rule: 'repeated', type: 'ScopeSpans', id: 2 } },
    },
    Resource: { fields: { attributes: { rule: 'repeated', type: 'KeyValue', id: 1 } } },
    ScopeSpans: { fields: { spans: { rule: 'repeated', type: 'Span', id: 2 } } },
    Span: {
      fields: {
        traceId: { type: 'bytes', id: 1 },
        spanId: { type: 'bytes', id: 2 },
        startTimeUnixNano: { type: 'fixed64', id: 7 },
        attributes: { rule: 'repeated', type: 'KeyValue', id: 9 },
      },
    },
    KeyValue: { fields: { key: { type: 'string', id: 1 }, value: { type: 'AnyValue', id: 2 } } },
    AnyValue: {
      fields: {
        stringValue: { type: 'string', id: 1 },
        intValue: { type: 'int64', id: 3 },
        doubleValue: { type: 'double', id: 4 },
      },
    },
    ExportTraceServiceResponse: { fields: { partialSuccess: { type: 'PartialSuccess', id: 1 } } },
    PartialSuccess: {
      fields: { rejectedSpans: { type: 'int64', id: 1 }, errorMessage: { type: 'string', id: 2 } },
    },
  },
});
const request = root.lookupType('ExportTraceServiceRequest');
const response = root.lookupType('ExportTraceServiceResponse');

interface DecodedSpan {
  traceId?: string;
  spanId?: string;
}
interface Decoded {
  resourceSpans?: { scopeSpans?: { spans?: DecodedSpan[] }[] }[];
}

const hex = (base64: string | undefined) =>
  base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex');

/** An OTLP export request as its JSON form writes it (ids in hexadecimal). Throws `invalid_request`. */
export function decodeTraceRequest(bytes: Buffer): unknown {
  let decoded: Decoded;
  try {
    decoded = request.toObject(request.decode(bytes), { longs: String, bytes: String });
  } catch (error) {
    throw new CostplusError('invalid_request', 'The body is not an OTLP export request in protobuf.', { cause: error });
  }
  for (const resource of decoded.resourceSpans ?? []) {
    for (const scope of resource.scopeSpans ?? []) {
      for (const span of scope.spans ?? [])
        Object.assign(span, { traceId: hex(span.traceId), spanId: hex(span.spanId) });
    }
  }
  return decoded;
}

/** What an export is answered with: how many spans were refused, and why; empty for none. */
export interface TraceAnswer {
  partialSuccess?: { rejectedSpans: string; errorMessage: string };
}

/** An answer in protobuf. */
export function encodeTraceAnswer(answer: TraceAnswer): Buffer {
  return Buffer.from(response.encode(response.fromObject(answer)).finish());
}
