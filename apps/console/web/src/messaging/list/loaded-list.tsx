import { Button, Group, Stack, Text } from '@mantine/core';
import { type InfiniteData, type UseInfiniteQueryResult } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';
import { Failure } from '../../shared/failure.js';
import { Empty, Loading } from '../../shared/states.js';
import { count } from '../flow/flow.js';
import { type Column, VirtualTable } from './virtual-table.js';

interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

interface LoadedListProps<T> {
  readonly name: string;
  /** What the list has, such as `dead letters`. */
  readonly noun: string;
  readonly query: UseInfiniteQueryResult<InfiniteData<Page<T>>>;
  readonly onReload: () => void;
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  readonly selected?: string | undefined;
  /** How many there are now by the overview, if the list is not filtered. */
  readonly total?: number | undefined;
  readonly minWidth?: number;
}

/** A list that loads as far as somebody scrolls, with its states: loading, failed, empty, and how much of it is loaded. */
export function LoadedList<T>({ query, onReload, name, noun, total, ...table }: LoadedListProps<T>) {
  const { data, error, isPending, hasNextPage, isFetching, fetchNextPage } = query;
  const rows = useMemo(() => data?.pages.flatMap(({ items }) => items) ?? [], [data]);
  const onNearEnd = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  if (isPending) return <Loading what={`Loading ${noun}`} />;
  if (rows.length === 0 && error) return <Failure error={error} onRetry={onReload} />;
  const reload = (
    <Button size="compact-sm" variant="default" loading={isFetching} onClick={onReload}>
      Reload
    </Button>
  );
  if (rows.length === 0)
    return (
      <Empty title={`There are no ${noun}.`} icon="check">
        {reload}
      </Empty>
    );
  return (
    <Stack gap="xs">
      {error && <Failure error={error} onRetry={onReload} />}
      <VirtualTable
        {...table}
        name={name}
        rows={rows}
        total={hasNextPage ? undefined : rows.length + 1}
        onNearEnd={onNearEnd}
      />
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          {loadedText(rows.length, hasNextPage, noun)}
          {total !== undefined && !hasNextPage && total > rows.length && ` ${count(total - rows.length)} more since.`}
        </Text>
        {reload}
      </Group>
    </Stack>
  );
}

const loadedText = (length: number, hasMore: boolean, noun: string) =>
  hasMore ? `${count(length)} loaded. Scroll for more.` : `All ${count(length)} ${noun}.`;
