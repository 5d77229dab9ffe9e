import { useInfiniteQuery } from '@tanstack/react-query';
import { type Answer, type Page } from '@twinbox/client';
import { useMemo, useState } from 'react';
import { Conditional, itemsOf } from './conditional.js';

interface ListOptions<T> {
  /** Identifies the list, with all its filters. */
  readonly queryKey: readonly unknown[];
  readonly load: (
    cursor: string | undefined,
    options: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
  ) => Promise<Answer<Page<T> | undefined>>;
  /** How often the first page is refreshed. A longer list is refreshed less often, because each of its pages is. */
  readonly refreshMs: number;
}

/** Up to this many pages, a list refreshes itself. */
const REFRESHED_PAGES = 5;

/** A list that is loaded page by page, and refreshes itself. A page that has not changed is not sent again. */
export function useList<T extends { readonly id: string }>({ queryKey, load, refreshMs }: ListOptions<T>) {
  const [conditional] = useState(() => new Conditional());
  const query = useInfiniteQuery({
    queryKey,
    queryFn: async ({ pageParam, signal }) =>
      conditional.load<Page<T>>(JSON.stringify([queryKey, pageParam]), async (headers) =>
        load(pageParam, { headers, signal }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ nextCursor }) => nextCursor ?? undefined,
    refetchInterval: ({ state: { data } }) => {
      const pages = data?.pages.length ?? 1;
      return pages <= REFRESHED_PAGES && refreshMs * pages ** 2;
    },
  });
  const { data } = query;
  const items = useMemo(() => itemsOf(data?.pages ?? []), [data]);
  return { ...query, items };
}

/** A list, as its table needs it. */
export type List<T extends { readonly id: string }> = ReturnType<typeof useList<T>>;
