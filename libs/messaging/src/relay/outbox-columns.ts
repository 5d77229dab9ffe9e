import { type OutboxRow } from '../message/message.js';

/**
 * The columns of a message in `outbox` and in `outbox_parked`. Fields are read in the order of the statement, because the relay
 * reads millions of rows.
 */
export const COLUMNS = `position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at,
       traceparent, tracestate`;

/** Selects {@link COLUMNS} as the fields of an `OutboxRow`. */
export const OUT = `position::text, id::text, aggregatetype, aggregateid, type, dataschema, sequence::text, payload,
       (extract(epoch from created_at) * 1000)::bigint::text as timestamp,
       traceparent || coalesce(' ' || tracestate, '') as trace`;

/** The fields of {@link OUT}, in their order. A read of new messages adds the last one. */
export type OutFields = [
  position: string,
  id: string,
  aggregatetype: string,
  aggregateid: string,
  type: string,
  dataschema: string,
  sequence: string,
  payload: string,
  timestamp: string,
  trace: string | null,
  rest?: string,
];

/** Names the fields of a row. Arrays are read from PostgreSQL because pg takes several times as long to make objects. */
export function toRow(fields: OutFields): OutboxRow {
  const [position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, timestamp, trace, rest] =
    fields;
  // `traceparent` has no space. Few messages have a `tracestate`.
  const end = trace === null ? -1 : trace.indexOf(' ');
  return {
    position,
    id,
    aggregatetype,
    aggregateid,
    type,
    dataschema,
    sequence,
    payload,
    timestamp,
    traceparent: end < 0 ? trace : (trace as string).slice(0, end),
    tracestate: end < 0 ? null : (trace as string).slice(end + 1),
    rest,
    partition: undefined,
  };
}

/** A generous estimate of the key, headers and framing that a record adds to its payload, except for its `tracestate`. */
export const RECORD_OVERHEAD_BYTES = 512;
