/** Queries with a `limit` that every list rejects, each with the name of the parameter that the answer must name. */
export const INVALID_LIMITS: [query: string, parameter: string][] = [
  ['limit=0', 'limit'],
  ['limit=101', 'limit'],
  ['limit=1.5', 'limit'],
  ['limit=abc', 'limit'],
  ['limit=', 'limit'],
  ['limit=1&limit=2', 'limit'],
  ['limit=0x10', 'limit'],
  ['limit=1e1', 'limit'],
  ['limit=%205', 'limit'],
  ['limit=5%20', 'limit'],
  ['limit=+5', 'limit'],
  ['limit=%2B5', 'limit'],
  ['limit=5.0', 'limit'],
  ['limit=Infinity', 'limit'],
];
