/** A page of a list that is loaded as far as somebody has scrolled. */
interface LoadedPage {
  readonly items: readonly object[];
}

/** The pages of an infinite query, and their cursors. */
interface LoadedPages<Page, Cursor> {
  pages: Page[];
  pageParams: Cursor[];
}

/** Removes one item from loaded pages, so that the list need not be loaded again from its beginning after an action. */
export function withoutItem<Page extends LoadedPage, Cursor>(
  loaded: LoadedPages<Page, Cursor> | undefined,
  isIt: (item: Page['items'][number]) => boolean,
): LoadedPages<Page, Cursor> | undefined {
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
