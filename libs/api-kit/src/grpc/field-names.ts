/** The paths of fields in a message, by the names that their rules know: `{ currency: 'price.currency' }`. */
export type FieldNames = Readonly<Record<string, string>>;

/** The fields of every list whose names are not those of the query parameters. */
const OF_PAGES: FieldNames = { cursor: 'page_token', limit: 'page_size' };

const namesOf = new WeakMap<object, FieldNames>();

/** Records the names of fields of a call, for errors that are about them. */
export function addFieldNames(call: object, names: FieldNames): void {
  namesOf.set(call, { ...namesOf.get(call), ...names });
}

/** Returns the names that were recorded for a call. */
export function fieldNamesOf(call: object): FieldNames {
  return { ...OF_PAGES, ...namesOf.get(call) };
}
