/** A request for one page of a list. */
export interface PageRequest {
  /** The maximum number of items. */
  readonly limit: number;
  /** The `nextCursor` of the previous page, or undefined for the first page. */
  readonly cursor: string | undefined;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** The cursor of the next page; null on the last one. */
  readonly nextCursor: string | null;
}

/** Builds a page from rows that were read with one row more than `limit`. An extra row means that there is a next page. */
export function pageOf<T>(rows: readonly T[], limit: number, cursorOf: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}
