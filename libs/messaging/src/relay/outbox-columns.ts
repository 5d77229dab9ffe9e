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
       traceparent, tracestate`;

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
  traceparent: string | null,
  tracestate: string | null,
  rest?: string,
];

/** Names the fields of a row. Arrays are read from PostgreSQL because pg takes several times as long to make objects. */
export function toRow(fields: OutFields): OutboxRow {
  const [position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, timestamp, traceparent] =
    fields;
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
    traceparent,
    tracestate: fields[10],
    rest: fields[11],
    partition: undefined,
  };
}

/** A generous estimate of the key, headers and framing that a record adds to its payload, except for its `tracestate`. */
export const RECORD_OVERHEAD_BYTES = 512;
