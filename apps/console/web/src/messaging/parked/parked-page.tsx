import { SegmentedControl, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type ParkedMessage } from '@twinbox/client/admin';
import { useMemo } from 'react';
import { Time } from '../../shared/time.js';
import { MessagingLayout } from '../layout.js';
import { type Box } from '../dead/causes.js';
import { LoadedList } from '../list/loaded-list.js';
import { RowLink, type RowLinks, useRowLinks } from '../list/row-link.js';
import { useReload } from '../list/use-reload.js';
import { type Column } from '../list/virtual-table.js';
import { parkedQuery } from '../queries.js';
import { type ParkedSearch } from '../search.js';
import { useAdmin } from '../use-messaging.js';
import { useSearchChange } from '../use-search-change.js';
import { ParkedDetail } from './parked-detail.js';
import { WaitsFor } from './waits-for.js';

const route = getRouteApi('/messaging/$service/parked');

/** Messages that wait for another attempt, or behind an earlier message of their key. */
export function ParkedPage() {
  return (
    <MessagingLayout>
      <ParkedMessages />
    </MessagingLayout>
  );
}

function ParkedMessages() {
  const search = route.useSearch();
  const change = useSearchChange();
  const { admin, service } = useAdmin();
  const { box = 'inbox', message, ...filter } = search;
  const options = parkedQuery(admin, service, box, search);
  const query = useInfiniteQuery(options);
  const links = useRowLinks('parked');
  const columns = useMemo(() => columnsOf(box, search, links), [box, search, links]);
  return (
    <Stack>
      <Text size="sm" c="dimmed">
        They need nobody: each is processed when its time comes, or when the message that it waits for is processed or
        discarded.
      </Text>
      <SegmentedControl
        aria-label="Box"
        style={{ alignSelf: 'flex-start' }}
        data={[
          { value: 'inbox', label: 'Inbox' },
          { value: 'outbox', label: 'Outbox' },
        ]}
        value={box}
        onChange={(value) => change({ box: value === 'outbox' ? 'outbox' : 'inbox' })}
      />
      <LoadedList
        name="Parked messages"
        noun={`parked messages in the ${box}`}
        query={query}
        onReload={useReload(options.queryKey)}
        columns={columns}
        keyOf={idOf}
        selected={message}
      />
      {message !== undefined && <ParkedDetail box={box} id={message} onClose={() => change({ box, ...filter })} />}
    </Stack>
  );
}

const idOf = ({ id }: ParkedMessage) => id;

function columnsOf(box: Box, search: ParkedSearch, { hrefOf, onOpen }: RowLinks): readonly Column<ParkedMessage>[] {
  return [
    {
      title: 'Message',
      width: '110px',
      cell: ({ id }) => (
        <RowLink href={hrefOf({ ...search, box, message: id })} onOpen={onOpen}>
          {box}/{id}
        </RowLink>
      ),
    },
    { title: 'Since', width: '100px', cell: ({ since }) => <Time relative at={since} /> },
    { title: 'Type', width: '150px', cell: ({ type }) => type ?? 'unreadable' },
    { title: 'Key', width: '1fr', cell: ({ key }) => key },
    { title: 'Attempts', width: '70px', cell: ({ attempts }) => attempts },
    { title: 'Waits for', width: '180px', cell: (message) => <WaitsFor message={message} /> },
    { title: 'Error', width: '2fr', cell: ({ error }) => error },
  ];
}
