/**
 * The columns of a message in `outbox` and in `outbox_parked`. Fields are read in the order of the statement, because the relay
 * reads millions of rows.
 */
export const COLUMNS = `position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at`;

/** Selects {@link COLUMNS} as the fields of an `OutboxRow`. */
export const OUT = `position::text, id::text, aggregatetype, aggregateid, type, dataschema, sequence::text, payload,
       (extract(epoch from created_at) * 1000)::bigint::text as timestamp`;

/** A generous estimate of the key, headers and framing that a record adds to its payload. */
export const RECORD_OVERHEAD_BYTES = 512;
