import { useVirtualizer } from '@tanstack/react-virtual';
import { type CSSProperties, memo, type ReactNode, useEffect, useRef } from 'react';
import { isNearEnd } from '../dead/pages.js';
import classes from './virtual-table.module.css';

export interface Column<T> {
  readonly title: string;
  /** A width of CSS grid, such as `120px` or `2fr`. */
  readonly width: string;
  readonly cell: (row: T) => ReactNode;
}

export interface VirtualTableProps<T> {
  readonly name: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  readonly selected?: string | undefined;
  /** How many rows there are, with the head; undefined while that is not known. */
  readonly total?: number | undefined;
  readonly height?: number;
  readonly minWidth?: number;
  /** Loads the next rows. Called again and again while the end is near. */
  readonly onNearEnd: () => void;
}

const ROW_HEIGHT = 40;

/** A table of any length. Only the rows that can be seen exist; the next ones are loaded before somebody gets there. */
export function VirtualTable<T>(props: VirtualTableProps<T>) {
  const { name, rows, columns, keyOf, selected, total, height = 520, minWidth = 720, onNearEnd } = props;
  const region = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => region.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
    scrollMargin: 36,
  });
  const items = virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index;
  useEffect(() => {
    if (isNearEnd(lastShown, rows.length)) onNearEnd();
  }, [lastShown, rows.length, onNearEnd]);
  const style = {
    '--table-height': `${Math.min(height, rows.length * ROW_HEIGHT + 38)}px`,
    '--table-width': `${minWidth}px`,
    '--columns': columns.map(({ width }) => (width.endsWith('fr') ? `minmax(0, ${width})` : width)).join(' '),
  } as CSSProperties;
  return (
    <div ref={region} className={classes['region']} style={style} tabIndex={0} role="region" aria-label={name}>
      <div
        role="table"
        aria-label={name}
        aria-rowcount={total ?? -1}
        className={classes['table']}
        style={{ height: virtualizer.getTotalSize() + 36 }}
      >
        <Head columns={columns} />
        <div role="rowgroup">
          {items.map(({ index, start }) => {
            const row = rows[index];
            const key = row === undefined ? '' : keyOf(row);
            return (
              row !== undefined && (
                <Row key={key} row={row} columns={columns} index={index} start={start} isSelected={key === selected} />
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Head<T>({ columns }: { readonly columns: readonly Column<T>[] }) {
  return (
    <div role="rowgroup" className={classes['head']}>
      <div role="row" aria-rowindex={1} className={classes['row']} style={{ height: '100%' }}>
        {columns.map(({ title }) => (
          <div key={title} role="columnheader" className={classes['cell']}>
            {title}
          </div>
        ))}
      </div>
    </div>
  );
}

interface RowProps<T> {
  readonly row: T;
  readonly columns: readonly Column<T>[];
  readonly index: number;
  readonly start: number;
  readonly isSelected: boolean;
}

const Row = memo(function Row<T>({ row, columns, index, start, isSelected }: RowProps<T>) {
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={`${classes['row']} ${classes['item']}`}
      data-selected={isSelected || undefined}
      style={{ transform: `translateY(${start}px)` }}
    >
      {columns.map(({ title, cell }) => (
        <div key={title} role="cell" className={classes['cell']}>
          {cell(row)}
        </div>
      ))}
    </div>
  );
}) as <T>(props: RowProps<T>) => ReactNode;
