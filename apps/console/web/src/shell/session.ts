import { type QueryClient, queryOptions, useQueryClient } from '@tanstack/react-query';
import { type Role } from '@twinbox/client';
import { createContext, useContext } from 'react';
import { requestJson } from '../shared/http.js';

export interface User {
  readonly id: string;
  readonly name?: string;
  readonly roles: readonly Role[];
}

/** A user that `dev` mode offers. */
export interface DemoUser {
  readonly id: string;
  readonly label: string;
  readonly roles: readonly Role[];
}

interface Console {
  /** How the console signs users in. */
  readonly mode: 'dev' | 'jwt';
  /** Whether the pages offer demo orders. */
  readonly demo: boolean;
}

export type SignedOut = Console & { readonly signedIn: false; readonly users?: readonly DemoUser[] };
export type SignedIn = Console & { readonly signedIn: true; readonly user: User };
export type Session = SignedOut | SignedIn;

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }) => requestJson<Session>('/session', { signal }),
  staleTime: Infinity,
  // Somebody else may have signed in, or the roles have changed, while another tab was in front.
  refetchOnWindowFocus: 'always',
  gcTime: Infinity,
});

/** The session of the pages that are shown. It outlives its end until they have gone. */
export const SessionContext = createContext<SignedIn | undefined>(undefined);

/** Returns who is signed in. For pages that are shown only to somebody who is. */
export function useSession(): SignedIn {
  const session = useContext(SessionContext);
  if (!session) throw new Error('Nobody is signed in.');
  return session;
}

/** Whether a person may do what the role may. An admin is also an operator. */
export function hasRole({ roles }: User, role: Role): boolean {
  return roles.includes(role) || (role === 'operator' && roles.includes('admin'));
}

/** Returns a function that signs out and leaves the page. */
export function useSignOut(): () => Promise<void> {
  const queries = useQueryClient();
  return async () => {
    const { next } = await requestJson<{ next: string }>('/session', { method: 'DELETE' });
    queries.clear();
    location.assign(next);
  };
}

/** Forgets what was loaded for the person before, whose rights may have been different. */
export function forgetData(queries: QueryClient): void {
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionQuery.queryKey[0] });
}

/** Finds out how to sign in again. The page then goes there, and back after the sign-in. */
export function endSession(queries: QueryClient): void {
  if (queries.getQueryState(sessionQuery.queryKey)?.fetchStatus === 'fetching') return;
  void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
}
