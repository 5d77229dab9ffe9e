import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** A span as a collector receives it. */
export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  /** As numbered by OTLP: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** The ids of the spans that it is linked to. */
  readonly links: readonly string[];
  /** 2 is an error. */
  readonly status: number;
  /** All of it, as JSON. */
  readonly text: string;
}

/** Receives traces over OTLP/HTTP in this process. */
export interface OtlpReceiver {
  readonly spans: readonly ReceivedSpan[];
  /** What makes a service send its traces here without delay. */
  readonly env: Record<string, string>;
  close(): Promise<void>;
}

/** `answers: false` makes a collector that reads requests and never answers. */
export async function startOtlpReceiver({ answers = true } = {}): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const receive = async (request: IncomingMessage, response: ServerResponse) => {
    spans.push(...(await spansOf(request)));
    if (answers) response.setHeader('content-type', 'application/json').end('{}');
  };
  const server = createServer((request, response) => void receive(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    spans,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string; readonly boolValue?: boolean };
}
interface OtlpSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes?: readonly Attribute[];
  readonly links?: readonly { readonly spanId: string }[];
  readonly status?: { readonly code?: number };
}
interface OtlpRequest {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

/** https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
async function spansOf(request: IncomingMessage): Promise<ReceivedSpan[]> {
  const { resourceSpans = [] } = (await json(request)) as OtlpRequest;
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(fieldsOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap((scope) => scope.spans).map((span) => received(service, span));
  });
}

function received(service: string, span: OtlpSpan): ReceivedSpan {
  const { name, kind, traceId, spanId, parentSpanId, attributes = [], links = [], status } = span;
  return {
    service,
    name,
    kind,
    traceId,
    spanId,
    parentSpanId: parentSpanId || undefined,
    attributes: fieldsOf(attributes),
    links: links.map((link) => link.spanId),
    status: status?.code ?? 0,
    text: JSON.stringify(span),
  };
}

function fieldsOf(attributes: readonly Attribute[]): ReceivedSpan['attributes'] {
  const valueOf = ({ stringValue, intValue, boolValue }: Attribute['value']) =>
    stringValue ?? boolValue ?? (intValue === undefined ? '' : Number(intValue));
  return Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]));
}
