/** A page of a list that is loaded as far as somebody has scrolled. */
interface LoadedPage<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** The pages of an infinite query. */
interface LoadedPages<P> {
  readonly pages: P[];
  readonly pageParams: unknown[];
}

/** Removes one item from loaded pages, so that the list need not be loaded again from its beginning after an action. */
export function withoutItem<T, P extends LoadedPage<T>>(
  loaded: LoadedPages<P> | undefined,
  isIt: (item: T) => boolean,
): LoadedPages<P> | undefined {
  return (
    loaded && {
      ...loaded,
      pages: loaded.pages.map((page) => ({ ...page, items: page.items.filter((item) => !isIt(item)) })),
    }
  );
}

/** Whether somebody has scrolled so far down that the next page should be loaded. */
export function isNearEnd(lastShown: number | undefined, loaded: number, ahead = 50): boolean {
  return lastShown !== undefined && lastShown >= loaded - ahead;
}
