import { Group, Pill, Stack } from '@mantine/core';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type DeadJob } from '@twinbox/client/admin';
import { useMemo } from 'react';
import { Failure } from '../../shared/failure.js';
import { Loading } from '../../shared/states.js';
import { notifyDone } from '../../shared/notify.js';
import { Time } from '../../shared/time.js';
import { MessagingLayout } from '../layout.js';
import { BulkBar } from '../bulk/bulk-bar.js';
import { LoadedList } from '../list/loaded-list.js';
import { RowLink, type RowLinks, useRowLinks } from '../list/row-link.js';
import { useReload } from '../list/use-reload.js';
import { type Column } from '../list/virtual-table.js';
import { jobCausesQuery, jobsQuery } from '../queries.js';
import { type JobsSearch } from '../search.js';
import { useAdmin, useRefresh } from '../use-messaging.js';
import { useSearchChange } from '../use-search-change.js';
import { CauseTable } from './cause-table.js';
import { JobDetail } from './job-detail.js';
import { withoutItem } from './pages.js';

const route = getRouteApi('/messaging/$service/dead-jobs');

/** Dead jobs by cause, one by one, and in bulk. */
export function JobsPage() {
  return (
    <MessagingLayout>
      <DeadJobs />
    </MessagingLayout>
  );
}

function DeadJobs() {
  const search = route.useSearch();
  const change = useSearchChange();
  const { admin, service } = useAdmin();
  const causes = useQuery(jobCausesQuery(admin, service));
  if (causes.isPending) return <Loading what="Loading dead jobs" />;
  const items = causes.data?.items ?? [];
  const { queue, cause } = search;
  return (
    <Stack>
      {causes.error && <Failure error={causes.error} onRetry={causes.refetch} />}
      {items.length > 0 && (
        <CauseTable
          causes={items}
          typesTitle="Queues"
          isSelected={(group) => group.cause === cause}
          onSelect={(group) => change({ queue, cause: group.cause === cause ? undefined : group.cause })}
        />
      )}
      {queue !== undefined && (
        <Group>
          <Pill
            withRemoveButton
            onRemove={() => change({ cause })}
            removeButtonProps={{ 'aria-label': 'Remove the filter Queue', tabIndex: 0, 'aria-hidden': false }}
          >
            Queue: {queue}
          </Pill>
        </Group>
      )}
      <Jobs search={search} onSearch={change} />
    </Stack>
  );
}

function Jobs({ search, onSearch }: { readonly search: JobsSearch; readonly onSearch: (search: JobsSearch) => void }) {
  const { admin, service } = useAdmin();
  const queries = useQueryClient();
  const refresh = useRefresh();
  const options = jobsQuery(admin, service, search);
  const query = useInfiniteQuery(options);
  const links = useRowLinks('dead-jobs');
  const columns = useMemo(() => columnsOf(search, links), [search, links]);
  const { job, ...filter } = search;
  const close = () => onSearch(filter);
  const onDone = (message: string) => {
    queries.setQueryData(options.queryKey, (loaded) => withoutItem(loaded, ({ id }) => id === job));
    notifyDone(message);
    void refresh();
    close();
  };
  return (
    <>
      <BulkBar subject="jobs" filter={filter} />
      <LoadedList
        name="Dead jobs"
        noun="dead jobs"
        query={query}
        onReload={useReload(options.queryKey)}
        columns={columns}
        keyOf={idOf}
        selected={job}
      />
      {job !== undefined && <JobDetail id={job} onDone={onDone} onClose={close} />}
    </>
  );
}

const idOf = ({ id }: DeadJob) => id;

function columnsOf(search: JobsSearch, { hrefOf, onOpen }: RowLinks): readonly Column<DeadJob>[] {
  return [
    {
      title: 'Dead job',
      width: '1fr',
      cell: ({ id }) => (
        <RowLink href={hrefOf({ ...search, job: id })} onOpen={onOpen}>
          {id}
        </RowLink>
      ),
    },
    { title: 'Died', width: '100px', cell: ({ diedAt }) => <Time relative at={diedAt} /> },
    { title: 'Queue', width: '120px', cell: ({ queue }) => queue },
    { title: 'Attempts', width: '80px', cell: ({ attempts }) => attempts },
    { title: 'Error', width: '3fr', cell: ({ error }) => error },
  ];
}
