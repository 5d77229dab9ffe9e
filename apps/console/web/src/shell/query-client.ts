import { QueryCache, QueryClient } from '@tanstack/react-query';
import { MutationCache } from '@tanstack/react-query';
import { isProblem } from '@twinbox/client';
import { endSession } from './session.js';

/** Creates the cache of everything the pages load. The clients repeat failed requests, so the cache does not. */
export function createQueryClient(): QueryClient {
  const onError = (error: unknown) => {
    if (isProblem(error, 'session-ended')) endSession(queries);
  };
  const queries = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: { retry: false, staleTime: 5000, refetchOnWindowFocus: true },
      mutations: { retry: false, networkMode: 'always' },
    },
  });
  return queries;
}
