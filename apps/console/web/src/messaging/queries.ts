import { type AdminClient } from '@twinbox/client/admin';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import {
  type AuditSearch,
  type JobsSearch,
  type LettersSearch,
  type OperationsSearch,
  type ParkedSearch,
} from './search.js';
import { present } from '../shell/search-params.js';
import { type Box } from './dead/causes.js';
import { type ServiceName } from './service.js';

/** How often a page asks again for what changes all the time. */
const LIVE_MS = 2000;
/** As many as the services return at once, so that long lists take few requests. */
const PAGE = 100;

const key = (service: ServiceName, ...rest: readonly unknown[]) => ['messaging', service, ...rest] as const;

/** The keys of everything that an operator's change may affect. */
export const changedBy = (service: ServiceName) => key(service);

export const overviewQuery = (admin: AdminClient, service: ServiceName) =>
  queryOptions({
    queryKey: key(service, 'overview'),
    queryFn: async ({ signal }) => admin.getMessagingOverview({ signal, attempts: 1 }),
    refetchInterval: LIVE_MS,
  });

export const letterCausesQuery = (admin: AdminClient, service: ServiceName) =>
  queryOptions({
    queryKey: key(service, 'letter-causes'),
    queryFn: async ({ signal }) =>
      Promise.all(
        (['inbox', 'outbox'] as const).map(async (box) => ({
          box,
          ...(await admin.listDeadLetterCauses({ box }, { signal })),
        })),
      ),
    refetchInterval: 5 * LIVE_MS,
  });

/** A list that stays as it was loaded. It would otherwise move under the pointer, and load all its pages again. */
const pages = { initialPageParam: undefined as string | undefined, staleTime: Infinity, gcTime: 0 };
const cursorOf = (cursor: string | undefined) => ({ limit: PAGE, ...(cursor !== undefined && { cursor }) });
const next = ({ nextCursor }: { readonly nextCursor: string | null }) => nextCursor ?? undefined;

export const lettersQuery = (admin: AdminClient, service: ServiceName, box: Box, search: LettersSearch) => {
  const { letter: _, ...rest } = search;
  const filter = { ...rest, box };
  return infiniteQueryOptions({
    queryKey: key(service, 'letters', filter),
    queryFn: async ({ pageParam, signal }) =>
      admin.listDeadLetters({ ...present(filter), ...cursorOf(pageParam) }, { signal }).page(),
    getNextPageParam: next,
    ...pages,
  });
};

export const letterQuery = (admin: AdminClient, service: ServiceName, box: Box, id: string) =>
  queryOptions({
    queryKey: key(service, 'letter', box, id),
    queryFn: async ({ signal }) => admin.getDeadLetter({ box, id }, { signal }),
  });

export const parkedQuery = (admin: AdminClient, service: ServiceName, box: Box, search: ParkedSearch) => {
  const { message: _, ...rest } = search;
  const filter = { ...rest, box };
  return infiniteQueryOptions({
    queryKey: key(service, 'parked', filter),
    queryFn: async ({ pageParam, signal }) =>
      admin.listParkedMessages({ ...present(filter), ...cursorOf(pageParam) }, { signal }).page(),
    getNextPageParam: next,
    ...pages,
  });
};

export const parkedMessageQuery = (admin: AdminClient, service: ServiceName, box: Box, id: string) =>
  queryOptions({
    queryKey: key(service, 'parked-message', box, id),
    queryFn: async ({ signal }) => admin.getParkedMessage({ box, id }, { signal }),
  });

export const jobCausesQuery = (admin: AdminClient, service: ServiceName) =>
  queryOptions({
    queryKey: key(service, 'job-causes'),
    queryFn: async ({ signal }) => admin.listDeadJobCauses({}, { signal }),
    refetchInterval: 5 * LIVE_MS,
  });

export const jobsQuery = (admin: AdminClient, service: ServiceName, search: JobsSearch) => {
  const { job: _, ...filter } = search;
  return infiniteQueryOptions({
    queryKey: key(service, 'jobs', filter),
    queryFn: async ({ pageParam, signal }) =>
      admin.listDeadJobs({ ...present(filter), ...cursorOf(pageParam) }, { signal }).page(),
    getNextPageParam: next,
    ...pages,
  });
};

export const jobQuery = (admin: AdminClient, service: ServiceName, id: string) =>
  queryOptions({
    queryKey: key(service, 'job', id),
    queryFn: async ({ signal }) => admin.getDeadJob({ id }, { signal }),
  });

export const operationsQuery = (admin: AdminClient, service: ServiceName, search: OperationsSearch) =>
  infiniteQueryOptions({
    queryKey: key(service, 'operations', search),
    queryFn: async ({ pageParam, signal }) =>
      admin.listOperations({ ...present(search), ...cursorOf(pageParam) }, { signal }).page(),
    getNextPageParam: next,
    ...pages,
    staleTime: 0,
  });

export const operationQuery = (admin: AdminClient, service: ServiceName, id: string) =>
  queryOptions({
    queryKey: key(service, 'operation', id),
    queryFn: async ({ signal }) => admin.getOperation({ id }, { signal }),
    refetchInterval: ({ state: { data } }) => (data?.finishedAt === null ? 500 : false),
  });

export const auditQuery = (admin: AdminClient, service: ServiceName, search: AuditSearch) =>
  infiniteQueryOptions({
    queryKey: key(service, 'audit', search),
    queryFn: async ({ pageParam, signal }) =>
      admin.listAuditEntries({ ...present(search), ...cursorOf(pageParam) }, { signal }).page(),
    getNextPageParam: next,
    ...pages,
    staleTime: 0,
  });

export const incidentsQuery = (admin: AdminClient, service: ServiceName) =>
  queryOptions({
    queryKey: key(service, 'incidents'),
    queryFn: async ({ signal }) => admin.listIncidents({ signal }),
    refetchInterval: 5 * LIVE_MS,
  });
