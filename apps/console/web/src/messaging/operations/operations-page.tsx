import { Badge, Progress, NativeSelect, Stack } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type Operation } from '@twinbox/client/admin';
import { useMemo } from 'react';
import { Time } from '../../shared/time.js';
import { MessagingLayout } from '../layout.js';
import { LoadedList } from '../list/loaded-list.js';
import { RowLink, type RowLinks, useRowLinks } from '../list/row-link.js';
import { useReload } from '../list/use-reload.js';
import { type Column } from '../list/virtual-table.js';
import { operationsQuery } from '../queries.js';
import { OPERATION_STATES } from '../search.js';
import { useAdmin } from '../use-messaging.js';
import { useSearchChange } from '../use-search-change.js';
import { COLORS } from './operation-state.js';
import { progressOf, titleOf } from './progress.js';

const route = getRouteApi('/messaging/$service/operations');

/** Changes of many messages or jobs, and replays, the latest first. */
export function OperationsPage() {
  return (
    <MessagingLayout>
      <Operations />
    </MessagingLayout>
  );
}

function Operations() {
  const { state } = route.useSearch();
  const change = useSearchChange();
  const { admin, service } = useAdmin();
  const options = operationsQuery(admin, service, { state });
  const query = useInfiniteQuery(options);
  const links = useRowLinks('operations');
  const columns = useMemo(() => columnsOf(links), [links]);
  return (
    <Stack>
      <NativeSelect
        aria-label="State"
        w={180}
        data={['all', ...OPERATION_STATES]}
        value={state ?? 'all'}
        onChange={(event) => change({ state: OPERATION_STATES.find((one) => one === event.currentTarget.value) })}
      />
      <LoadedList
        name="Operations"
        noun={state === undefined ? 'operations' : `operations that are ${state}`}
        query={query}
        onReload={useReload(options.queryKey)}
        columns={columns}
        keyOf={idOf}
      />
    </Stack>
  );
}

const idOf = ({ id }: Operation) => id;

const columnsOf = ({ hrefOf, onOpen }: RowLinks): readonly Column<Operation>[] => [
  {
    title: 'Operation',
    width: '180px',
    cell: ({ id, kind }) => (
      <RowLink href={hrefOf({}, id)} onOpen={onOpen}>
        {titleOf(kind)}
      </RowLink>
    ),
  },
  { title: 'Created', width: '100px', cell: ({ createdAt }) => <Time relative at={createdAt} /> },
  {
    title: 'State',
    width: '110px',
    cell: (operation) => (
      <Badge variant="light" color={COLORS[progressOf(operation, 0).outcome]}>
        {operation.state}
      </Badge>
    ),
  },
  {
    title: 'Progress',
    width: '120px',
    cell: (operation) => {
      const { percent, title } = progressOf(operation, 0);
      return <Progress value={percent} aria-label={`${title}: ${percent} %`} />;
    },
  },
  {
    title: 'Done',
    width: '110px',
    cell: ({ done, total }) => `${done.toLocaleString('en')} of ${total.toLocaleString('en')}`,
  },
  { title: 'Failed', width: '70px', cell: ({ failed }) => failed },
  { title: 'Actor', width: '1fr', cell: ({ actor }) => actor },
  { title: 'Reason', width: '2fr', cell: ({ reason, problem }) => problem ?? reason },
];
