import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type MessagingOverview } from '@twinbox/client/admin';
import { useMemo } from 'react';
import { useClients } from '../shared/clients.js';
import { type Reading, readingOf, withReading } from './flow/readings.js';
import { changedBy, overviewQuery } from './queries.js';
import { type ServiceName, useService } from './service.js';

/** The client of the service whose pages are shown. */
export function useAdmin() {
  const service = useService();
  const clients = useClients();
  return { service, admin: clients.admin(service) };
}

export function useOverview() {
  const { admin, service } = useAdmin();
  return useQuery(overviewQuery(admin, service));
}

/** Readings outlive the page, so that the charts are not empty when somebody comes back. Only a reload of the console clears them. */
const kept = new Map<ServiceName, readonly Reading[]>();

/** Adds what is new in an overview. The same one again changes nothing. */
function remembered(service: ServiceName, overview: MessagingOverview | undefined): readonly Reading[] {
  const before = kept.get(service) ?? [];
  const readings = overview ? withReading(before, readingOf(overview)) : before;
  kept.set(service, readings);
  return readings;
}

/** The latest minutes of a service, as far as the console has watched it. */
export function useReadings(): readonly Reading[] {
  const service = useService();
  const { data } = useOverview();
  return useMemo(() => remembered(service, data), [data, service]);
}

/** Loads again what an operator's change may have changed, but not long lists, which lose the changed item only. */
export function useRefresh(): () => Promise<void> {
  const service = useService();
  const queries = useQueryClient();
  return async () => {
    await queries.invalidateQueries({
      queryKey: changedBy(service),
      predicate: ({ queryKey: [, , list] }) => !['letters', 'parked', 'jobs'].includes(String(list)),
    });
  };
}
