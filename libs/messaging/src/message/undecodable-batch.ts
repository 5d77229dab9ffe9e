/**
 * The header that marks a record as a placeholder for an undecodable batch. Its value is the reason. A producer cannot set it,
 * because a header with this name is dropped when a record is read.
 */
export const UNDECODABLE_BATCH = 'twinbox_undecodable_batch';
