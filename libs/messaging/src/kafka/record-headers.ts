import { MAX_VARINT_BYTES, writeVarint } from './varint.js';

/*
 * The headers of an outgoing record: a CloudEvents envelope in binary mode (Kafka binding 1.0.2). Names, constant values and their
 * lengths are encoded once. Only the id, the sequence, the trace context and possibly the time differ between messages of one type.
 */

/** A contract has fewer types. The limit bounds the memory if a table has other rows. */
const MAX_TYPES = 1000;

/** The headers that every record has, besides those of {@link RecordHeaders}'s `more`. */
const ALWAYS = 7;
/** Those that a record may have: `ce_time`, `traceparent`, `tracestate`. */
const MOST_OPTIONAL = 3;

/** The name of a header of the trace context, with its length. The value follows. */
export const TRACEPARENT = text('traceparent');
export const TRACESTATE = text('tracestate');

/** The constant parts of the headers of one service's records, in the order of the headers. */
export class RecordHeaders {
  /** From the number of headers to the name of `ce_id`, by how many optional headers follow. */
  readonly beforeId: readonly Buffer[];
  /** From the name of `content-type` on. */
  readonly afterSequence: Buffer;
  /** From the name of `content-type` to that of `ce_time`. */
  readonly beforeTime: Buffer;
  private readonly source: Buffer;
  private readonly byType = new Map<string, Map<string, Buffer>>();
  private types = 0;

  /** `source` is the `ce_source`. Every record also has the headers in `more`, by name. */
  constructor(source: string, more: Readonly<Record<string, string>> = {}) {
    const added = Object.entries(more);
    const version = Buffer.concat([header('ce_specversion', '1.0'), text('ce_id')]);
    this.beforeId = Array.from({ length: MOST_OPTIONAL + 1 }, (_, optional) =>
      Buffer.concat([varint(ALWAYS + added.length + optional), version]),
    );
    const constant = [['content-type', 'application/json'] as const, ...added];
    this.afterSequence = Buffer.concat(constant.map(([name, value]) => header(name, value)));
    this.beforeTime = Buffer.concat([this.afterSequence, text('ce_time')]);
    this.source = header('ce_source', source);
  }

  /** Returns the part between the values of `ce_id` and `ce_sequence`. */
  betweenIdAndSequence(type: string, dataschema: string): Buffer {
    return this.byType.get(type)?.get(dataschema) ?? this.encode(type, dataschema);
  }

  private encode(type: string, dataschema: string): Buffer {
    const part = Buffer.concat([
      this.source,
      header('ce_type', type),
      header('ce_dataschema', dataschema),
      text('ce_sequence'),
    ]);
    if (++this.types > MAX_TYPES) {
      this.byType.clear();
      this.types = 1;
    }
    const schemas = this.byType.get(type) ?? new Map<string, Buffer>();
    this.byType.set(type, schemas.set(dataschema, part));
    return part;
  }
}

function header(name: string, value: string): Buffer {
  return Buffer.concat([text(name), text(value)]);
}

/** A text with its length. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes = Buffer.alloc(MAX_VARINT_BYTES);
  return bytes.subarray(0, writeVarint(bytes, 0, value));
}
