/** A timestamp in microseconds since the epoch. A Date could not distinguish two rows of the same millisecond. */
export const microsOf = (timestamp: string): string => `(extract(epoch from ${timestamp}) * 1000000)::bigint`;
/** The timestamp of a parameter in microseconds since the epoch. */
export const timeOf = (parameter: string): string =>
  `timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond'`;
