import { type InfiniteData, type QueryKey, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

/** Loads a long list again from its beginning, and not all the pages that somebody has scrolled through. */
export function useReload(queryKey: QueryKey): () => void {
  const queries = useQueryClient();
  return useCallback(() => {
    queries.setQueryData<InfiniteData<unknown>>(
      queryKey,
      (data) => data && { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) },
    );
    void queries.refetchQueries({ queryKey: queryKey, exact: true });
  }, [queries, queryKey]);
}
