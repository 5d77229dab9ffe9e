import { Badge, Group, Pill, SegmentedControl, Stack, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type AuditEntry } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';
import { MessagingLayout } from '../layout.js';
import { LoadedList } from '../list/loaded-list.js';
import { useReload } from '../list/use-reload.js';
import { type Column } from '../list/virtual-table.js';
import { auditQuery } from '../queries.js';
import { type AuditSearch } from '../search.js';
import { useAdmin } from '../use-messaging.js';
import { useSearchChange } from '../use-search-change.js';

const route = getRouteApi('/messaging/$service/audit');

/** Who changed what, when and why, the latest first, and who was refused. */
export function AuditPage() {
  return (
    <MessagingLayout>
      <Audit />
    </MessagingLayout>
  );
}

function Audit() {
  const search = route.useSearch();
  const { admin, service } = useAdmin();
  const options = auditQuery(admin, service, search);
  const query = useInfiniteQuery(options);
  return (
    <Stack>
      <Filters search={search} />
      <LoadedList
        name="Audit"
        noun="audit entries"
        query={query}
        onReload={useReload(options.queryKey)}
        columns={COLUMNS}
        keyOf={idOf}
        minWidth={900}
      />
    </Stack>
  );
}

function Filters({ search }: { readonly search: AuditSearch }) {
  const change = useSearchChange();
  const { actor, outcome, operation } = search;
  return (
    <Group>
      <SegmentedControl
        aria-label="Outcome"
        data={['all', 'done', 'refused']}
        value={outcome ?? 'all'}
        onChange={(value) =>
          change({ ...search, outcome: value === 'done' || value === 'refused' ? value : undefined })
        }
      />
      <TextInput
        key={actor}
        aria-label="Actor"
        placeholder="Actor"
        defaultValue={actor ?? ''}
        onKeyDown={(event) => {
          if (event.key === 'Enter') change({ ...search, actor: event.currentTarget.value.trim() || undefined });
        }}
      />
      {operation !== undefined && (
        <Pill
          withRemoveButton
          onRemove={() => change({ ...search, operation: undefined })}
          removeButtonProps={{ 'aria-label': 'Remove the filter Operation', tabIndex: 0, 'aria-hidden': false }}
        >
          Operation: {operation}
        </Pill>
      )}
    </Group>
  );
}

const idOf = ({ id }: AuditEntry) => id;

const subjectOf = ({ letter, box }: AuditEntry) => {
  const { id, name } = letter as { readonly id?: unknown; readonly name?: unknown };
  return `${box}${typeof id === 'string' ? `/${id}` : typeof name === 'string' ? `/${name}` : ''}`;
};

const COLUMNS: readonly Column<AuditEntry>[] = [
  { title: 'When', width: '100px', cell: ({ at }) => <Time relative at={at} /> },
  { title: 'Actor', width: '120px', cell: ({ actor }) => actor },
  {
    title: 'Action',
    width: '170px',
    cell: ({ action, outcome }) => (
      <>
        {action}{' '}
        {outcome === 'refused' && (
          <Badge size="xs" color="red" variant="light">
            refused
          </Badge>
        )}
      </>
    ),
  },
  { title: 'Subject', width: '1fr', cell: subjectOf },
  { title: 'Reason', width: '2fr', cell: ({ reason }) => reason },
  { title: 'Detail', width: '2fr', cell: ({ detail }) => (detail === null ? '' : JSON.stringify(detail)) },
];
