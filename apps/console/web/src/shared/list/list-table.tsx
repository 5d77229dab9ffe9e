import { Button, Center, VisuallyHidden } from '@mantine/core';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef } from 'react';
import { Failure } from '../failure.js';
import { Loading } from '../states.js';
import classes from './list-table.module.css';
import { useArrowKeys } from './use-arrow-keys.js';
import { useKeptFocus } from './use-kept-focus.js';
import { type List } from './use-list.js';

/** A column of a list. */
export interface Column<T> {
  readonly title: string;
  readonly cell: (item: T) => ReactNode;
  /** `fill`: takes the room that is left, and cuts off what does not fit. */
  readonly align?: 'right' | 'fill';
  /** `wide`: shown only where there is room. */
  readonly from?: 'tablet' | 'wide';
}

interface ListTableProps<T extends { readonly id: string }> {
  /** What the table lists, for people who cannot see the heading above it. */
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly list: List<T>;
  readonly empty: ReactNode;
}

const ROW_PX = 49;
const NEAR_THE_END = 20;

/** A table of any length: only the rows in view are in the page. The next page is loaded before its end is reached. */
export function ListTable<T extends { readonly id: string }>({ caption, columns, list, empty }: ListTableProps<T>) {
  const { items, isPending, isError, error, refetch, fetchStatus } = list;
  const body = useRef<HTMLTableSectionElement>(null);
  useKeptFocus(body, items);
  useArrowKeys(body);
  const rows = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => ROW_PX,
    overscan: 12,
    scrollMargin: body.current?.offsetTop ?? 0,
    getItemKey: (index) => items[index]?.id ?? index,
  });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  const margin = rows.options.scrollMargin;
  useNextPage(list, last);

  if (isPending && fetchStatus !== 'paused') return <Loading what={`Loading ${caption}`} />;
  if (isError && items.length === 0) return <Failure error={error} onRetry={refetch} />;
  if (items.length === 0) return <>{empty}</>;
  const before = (visible[0]?.start ?? margin) - margin;
  const after = rows.getTotalSize() - ((visible.at(-1)?.end ?? margin) - margin);
  return (
    <>
      {isError && <Failure error={error} onRetry={refetch} title="The list could not be refreshed." />}
      <div className={classes['frame']}>
        <table className={classes['table']} aria-rowcount={list.hasNextPage ? -1 : items.length + 1}>
          <caption>
            <VisuallyHidden>{caption}</VisuallyHidden>
          </caption>
          <thead>
            <tr aria-rowindex={1}>
              {columns.map(({ title, align, from }) => (
                <th key={title} scope="col" data-align={align} data-from={from}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody ref={body}>
            <Space height={before} />
            {visible.map(({ index, key }) => {
              const item = items[index];
              return item && <Row key={key} item={item} index={index} columns={columns} />;
            })}
            <Space height={after} />
          </tbody>
        </table>
      </div>
      <More list={list} />
    </>
  );
}

interface RowProps<T> {
  readonly item: T;
  readonly index: number;
  readonly columns: readonly Column<T>[];
}

function Row<T extends { readonly id: string }>({ item, index, columns }: RowProps<T>) {
  return (
    <tr data-id={item.id} aria-rowindex={index + 2} className={classes['row']}>
      {columns.map(({ title, cell, align, from }) => (
        <td key={title} data-align={align} data-from={from}>
          {cell(item)}
        </td>
      ))}
    </tr>
  );
}

/** Takes the place of the rows that are not in view. */
function Space({ height }: { readonly height: number }) {
  return height <= 0 ? null : <tr aria-hidden="true" style={{ height }} />;
}

function More<T extends { readonly id: string }>({ list }: { readonly list: List<T> }) {
  const { items, hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  return hasNextPage ? (
    <Center py="sm">
      <Button variant="default" size="xs" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
        {`${items.length} shown. Load more`}
      </Button>
    </Center>
  ) : null;
}

function useNextPage<T extends { readonly id: string }>(list: List<T>, last: number): void {
  const { items, hasNextPage, isFetching, fetchNextPage } = list;
  const isNear = last >= items.length - NEAR_THE_END && globalThis.scrollY > 0;
  useEffect(() => {
    if (isNear && hasNextPage && !isFetching) void fetchNextPage();
  }, [isNear, hasNextPage, isFetching, fetchNextPage]);
}
