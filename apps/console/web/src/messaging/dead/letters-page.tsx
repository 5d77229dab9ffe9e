import { Stack } from '@mantine/core';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type InboxLetter, type OutboxLetter } from '@twinbox/client/admin';
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
import { letterCausesQuery, lettersQuery } from '../queries.js';
import { type LettersSearch } from '../search.js';
import { useAdmin, useRefresh } from '../use-messaging.js';
import { useSearchChange } from '../use-search-change.js';
import { CauseTable } from './cause-table.js';
import { type Box, type Cause, mergedCauses } from './causes.js';
import { ActiveFilters } from './active-filters.js';
import { LetterDetail } from './letter-detail.js';
import { withoutItem } from './pages.js';

const route = getRouteApi('/messaging/$service/dead-letters');

type Letter = InboxLetter | OutboxLetter;

/** Dead letters by cause, one by one, and in bulk. */
export function LettersPage() {
  return (
    <MessagingLayout>
      <DeadLetters />
    </MessagingLayout>
  );
}

function DeadLetters() {
  const search = route.useSearch();
  const { admin, service } = useAdmin();
  const causes = useQuery(letterCausesQuery(admin, service));
  const merged = useMemo(() => mergedCauses(causes.data ?? []), [causes.data]);
  // Without a choice, the box that has any.
  const box: Box = search.box ?? merged[0]?.box ?? 'inbox';
  const change = useSearchChange();
  if (causes.isPending) return <Loading what="Loading dead letters" />;
  const onSelect = ({ box, cause }: Cause) =>
    change(search.cause === cause && search.box === box ? { box } : { box, cause });
  return (
    <Stack>
      {causes.error && <Failure error={causes.error} onRetry={causes.refetch} />}
      {merged.length > 0 && (
        <CauseTable
          causes={merged}
          typesTitle="Event types"
          placeOf={({ box }) => box}
          isSelected={(cause) => cause.cause === search.cause && cause.box === box}
          onSelect={onSelect}
        />
      )}
      <ActiveFilters
        search={search}
        box={box}
        onBox={(box) => change({ box })}
        onChange={(next) => change({ box, ...next })}
      />
      <Letters box={box} search={search} onSearch={change} />
    </Stack>
  );
}

interface LettersProps {
  readonly box: Box;
  readonly search: LettersSearch;
  readonly onSearch: (search: LettersSearch) => void;
}

function Letters({ box, search, onSearch }: LettersProps) {
  const { admin, service } = useAdmin();
  const queries = useQueryClient();
  const refresh = useRefresh();
  const options = lettersQuery(admin, service, box, search);
  const query = useInfiniteQuery(options);
  const links = useRowLinks('dead-letters');
  const columns = useMemo(() => columnsOf(box, search, links), [box, search, links]);
  const { letter, box: _, ...filter } = search;
  const close = () => onSearch({ ...search, letter: undefined });
  const onDone = (message: string) => {
    queries.setQueryData(options.queryKey, (loaded) => withoutItem(loaded, ({ id }) => id === letter));
    notifyDone(message);
    void refresh();
    close();
  };
  return (
    <>
      <BulkBar subject="letters" filter={{ box, ...filter }} />
      <LoadedList
        name="Dead letters"
        noun={`dead letters ${box === 'inbox' ? 'in the inbox' : 'in the outbox'}`}
        query={query}
        onReload={useReload(options.queryKey)}
        columns={columns}
        keyOf={idOf}
        selected={letter}
      />
      {letter !== undefined && <LetterDetail box={box} id={letter} onDone={onDone} onClose={close} />}
    </>
  );
}

const idOf = ({ id }: Letter) => id;

function columnsOf(box: Box, search: LettersSearch, { hrefOf, onOpen }: RowLinks): readonly Column<Letter>[] {
  return [
    {
      title: 'Dead letter',
      width: '110px',
      cell: ({ id }) => (
        <RowLink href={hrefOf({ ...search, box, letter: id })} onOpen={onOpen}>
          {box}/{id}
        </RowLink>
      ),
    },
    { title: 'Died', width: '100px', cell: ({ diedAt }) => <Time relative at={diedAt} /> },
    { title: 'Type', width: '150px', cell: ({ type }) => type ?? 'unreadable' },
    { title: 'Error', width: '3fr', cell: ({ error }) => error },
    { title: 'Key', width: '1fr', cell: ({ key }) => key },
    box === 'inbox'
      ? { title: 'Consumer', width: '1fr', cell: (letter) => (letter.box === 'inbox' ? letter.consumer : '') }
      : { title: 'Aggregate', width: '1fr', cell: (letter) => (letter.box === 'outbox' ? letter.aggregateType : '') },
  ];
}
