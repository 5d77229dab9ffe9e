import { Group, NativeSelect } from '@mantine/core';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { type Order } from '@twinbox/client/orders';
import { useRef } from 'react';
import { shortId } from '../shared/copyable-id.js';
import { LookupBox } from '../shared/filters/lookup-box.js';
import { StatusFilter } from '../shared/filters/status-filter.js';
import { focusRow } from '../shared/list/focus-row.js';
import { type Column, ListTable } from '../shared/list/list-table.js';
import { Money } from '../shared/money.js';
import { Page } from '../shared/page.js';
import { ShortcutsHelp } from '../shared/shortcuts-help.js';
import { Empty } from '../shared/states.js';
import { LateBadge, StatusBadge, statusLabel } from '../shared/status-badge.js';
import { Time } from '../shared/time.js';
import { useShortcuts } from '../shared/use-shortcuts.js';
import { MoreFilters } from './more-filters.js';
import { ORDER_STATUSES, type OrdersSearch } from './orders-search.js';
import { useOrders } from './queries.js';
import { useLookup } from './use-lookup.js';
import { Views } from './views.js';

const route = getRouteApi('/orders');

const KEYS = [
  ['j', 'Next order'],
  ['k', 'Previous order'],
  ['Enter', 'Open the order'],
  ['/', 'Search'],
] as const;

/** The list of orders. */
export function OrdersPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const list = useOrders(search);
  const box = useRef<HTMLInputElement>(null);
  const lookup = useLookup();
  useShortcuts({ j: () => focusRow(1), k: () => focusRow(-1), '/': () => box.current?.focus() });
  const change = (changes: OrdersSearch) =>
    void navigate({ to: '/orders', search: { ...search, ...changes }, replace: true });
  return (
    <Page title="Orders" aside={<ShortcutsHelp keys={KEYS} />}>
      <Views />
      <Group justify="space-between" gap="sm">
        <LookupBox ref={box} label="Order, payment or customer id" onLookup={lookup} />
        <NativeSelect
          aria-label="Sort"
          value={search.sort ?? '-created'}
          data={SORTS}
          onChange={({ currentTarget }) => change({ sort: currentTarget.value as NonNullable<OrdersSearch['sort']> })}
        />
      </Group>
      <StatusFilter
        label="Statuses"
        choices={STATUSES}
        chosen={search.status ?? []}
        onChange={(status) => change({ status })}
      />
      <MoreFilters search={search} onChange={(fields) => void navigate({ to: '/orders', search: fields })} />
      <ListTable
        caption="Orders"
        columns={COLUMNS}
        list={list}
        empty={
          <Empty title="No order matches the filters." icon="search">
            <Link to="/orders">Show all orders</Link>
          </Empty>
        }
      />
    </Page>
  );
}

const STATUSES = ORDER_STATUSES.map((value) => ({ value, label: statusLabel(value) }));

const SORTS = [
  { value: '-created', label: 'Newest first' },
  { value: 'created', label: 'Oldest first' },
  { value: '-total', label: 'Largest total first' },
  { value: 'total', label: 'Smallest total first' },
];

const COLUMNS: Column<Order>[] = [
  {
    title: 'Order',
    cell: ({ id }) => (
      <Link data-row to="/orders/$id" params={{ id }}>
        {shortId(id)}
      </Link>
    ),
  },
  { title: 'Total', align: 'right', cell: ({ total, currency }) => <Money amount={total} currency={currency} /> },
  {
    title: 'Status',
    cell: ({ status, late }) => (
      <Group gap={6}>
        <StatusBadge status={status} />
        {late && <LateBadge />}
      </Group>
    ),
  },
  { title: 'Customer', from: 'tablet', cell: ({ customerId }) => customerId },
  { title: 'Created', from: 'tablet', cell: ({ createdAt }) => <Time at={createdAt} /> },
  { title: 'Changed', from: 'wide', cell: ({ updatedAt }) => <Time at={updatedAt} relative /> },
  { title: 'Items', from: 'wide', align: 'fill', cell: ({ items }) => itemsText(items) },
];

function itemsText(items: Order['items']): string {
  const [first, ...others] = items;
  if (!first) return '–';
  return `${first.quantity} × ${first.name}${others.length > 0 ? ` and ${others.length} more` : ''}`;
}
