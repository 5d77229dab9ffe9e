/** Which part of a list is wanted. */
export interface PageRequest {
  /** At most so many items. */
  readonly limit: number;
  /** The `nextCursor` of the page before; none for the first page. */
  readonly cursor: string | undefined;
}

/** A part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null;
}

/** Makes a page of rows that were read with one row more than `limit`: the extra row shows that there is a next page. */
export function pageOf<T>(rows: readonly T[], limit: number, cursorOf: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}
