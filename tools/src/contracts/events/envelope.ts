import { type JsonSchema } from './json-schema.js';
import { ID } from './rules.js';
import { type EventVersion, schemaId } from './schemas.js';

/** An attribute that the inbox stores: not empty, without control characters (CloudEvents 1.0, type `String`). */
const STORED: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  pattern: String.raw`^[^\u0000-\u001F\u007F-\u009F]*$`,
};

const TIME = '2026-11-21T09:30:00.000Z';

/** The key of every message. */
export const key: JsonSchema = {
  description: 'The id of the order. All messages of an order are in one partition, in the order of their commits.',
  ...ID,
  examples: ['01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d'],
  'x-field': 'orderId',
};

/** The headers of the trace that a message belongs to. */
const TRACE_HEADERS = {
  traceparent: {
    description:
      'The trace that the message belongs to (W3C Trace Context). Only messages of requests that are traced have it.',
    type: 'string',
    examples: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  },
  tracestate: {
    description: 'What tracing systems add to `traceparent` (W3C Trace Context).',
    type: 'string',
    examples: ['vendor=00f067aa0ba902b7'],
  },
};

/** Returns the schema of a message's headers: a CloudEvent in binary mode of the Kafka binding. All values are UTF-8 text. */
export function headersOf({ type, version }: EventVersion, source: string): JsonSchema {
  return {
    type: 'object',
    properties: {
      ce_specversion: { description: 'The version of CloudEvents.', type: 'string', const: '1.0', examples: ['1.0'] },
      ce_id: {
        description: 'The id of the message. Together with `ce_source` it is unique, and a duplicate has the same.',
        ...STORED,
        examples: ['01939d3c-4d20-7b55-a0e1-6c7f8a9b0c1d'],
      },
      ce_source: { description: 'The service that published the message.', ...STORED, examples: [source] },
      ce_type: { description: 'The type of the event.', type: 'string', const: type, examples: [type] },
      ce_dataschema: {
        description:
          'The id of the JSON Schema of the value, which ends with the version of the event. A newer version only adds fields.',
        type: 'string',
        const: schemaId(type, version),
        examples: [schemaId(type, version)],
      },
      ce_sequence: {
        description:
          'The version of the aggregate that published the message, as decimal digits. It does not decrease among the messages with the ' +
          'same key and source. It may have gaps.',
        type: 'string',
        pattern: '^[0-9]{1,16}$',
        examples: ['3'],
      },
      ce_time: {
        description:
          'The time of the event, as in RFC 3339. Without it, the timestamp of the record is the time of the event.',
        type: 'string',
        format: 'date-time',
        examples: [TIME],
      },
      'content-type': {
        description: 'The content type of the value.',
        type: 'string',
        const: 'application/json',
        examples: ['application/json'],
      },
      ...TRACE_HEADERS,
    },
    required: ['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_dataschema'],
  };
}
