import { Group, NativeSelect } from '@mantine/core';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { type PaymentRequest } from '@twinbox/client/payments';
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
import { StatusBadge, statusLabel } from '../shared/status-badge.js';
import { Time } from '../shared/time.js';
import { useShortcuts } from '../shared/use-shortcuts.js';
import { PAYMENT_STATUSES, type PaymentsSearch } from './payments-search.js';
import { MoreFilters } from './more-filters.js';
import { usePayments } from './queries.js';
import { useLookup } from './use-lookup.js';

const route = getRouteApi('/payments');

const KEYS = [
  ['j', 'Next payment'],
  ['k', 'Previous payment'],
  ['Enter', 'Open the payment'],
  ['/', 'Search'],
] as const;

/** The list of payments: by default what waits for an operator, newest first. */
export function PaymentsPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const list = usePayments(search);
  const box = useRef<HTMLInputElement>(null);
  const lookup = useLookup();
  useShortcuts({ j: () => focusRow(1), k: () => focusRow(-1), '/': () => box.current?.focus() });
  const change = (changes: PaymentsSearch) =>
    void navigate({ to: '/payments', search: { ...search, ...changes }, replace: true });
  return (
    <Page title="Payments" aside={<ShortcutsHelp keys={KEYS} />}>
      <Group justify="space-between" gap="sm">
        <LookupBox ref={box} label="Order, payment or customer id" onLookup={lookup} />
        <NativeSelect
          aria-label="Sort"
          value={search.sort ?? '-created'}
          data={SORTS}
          onChange={({ currentTarget }) => change({ sort: currentTarget.value as NonNullable<PaymentsSearch['sort']> })}
        />
      </Group>
      <StatusFilter
        label="Statuses"
        choices={STATUSES}
        chosen={search.status ?? ['PENDING']}
        onChange={(chosen) => change({ status: afterChoice(chosen) })}
      />
      <MoreFilters search={search} onChange={(fields) => void navigate({ to: '/payments', search: fields })} />
      <ListTable caption="Payments" columns={columnsOf(search)} list={list} empty={<NoPayments search={search} />} />
    </Page>
  );
}

const STATUSES = [
  ...PAYMENT_STATUSES.map((value) => ({ value, label: statusLabel(value) })),
  { value: 'ANY', label: 'All' } as const,
];

const SORTS = [
  { value: '-created', label: 'Newest first' },
  { value: 'created', label: 'Oldest first' },
  { value: '-amount', label: 'Largest amount first' },
  { value: 'amount', label: 'Smallest amount first' },
];

type Choices = NonNullable<PaymentsSearch['status']>;

/** All is chosen alone, and when nothing else is. */
function afterChoice(chosen: Choices): Choices {
  if (chosen.length === 0 || chosen.at(-1) === 'ANY') return ['ANY'];
  return chosen.filter((each) => each !== 'ANY');
}

function columnsOf(search: PaymentsSearch): Column<PaymentRequest>[] {
  return [
    {
      title: 'Payment',
      cell: ({ id }) => (
        <Link data-row to="/payments/$id" params={{ id }} search={search}>
          {shortId(id)}
        </Link>
      ),
    },
    { title: 'Amount', align: 'right', cell: ({ amount, currency }) => <Money amount={amount} currency={currency} /> },
    { title: 'Status', cell: ({ status }) => <StatusBadge status={status} /> },
    { title: 'Customer', from: 'tablet', cell: ({ customerId }) => customerId },
    { title: 'Requested', from: 'tablet', cell: ({ createdAt }) => <Time at={createdAt} /> },
    {
      title: 'Expires',
      from: 'wide',
      cell: ({ status, expiresAt }) => (status === 'PENDING' ? <Time at={expiresAt} relative /> : '–'),
    },
    { title: 'Gateway', from: 'wide', cell: ({ gateway }) => gateway },
  ];
}

function NoPayments({ search }: { readonly search: PaymentsSearch }) {
  const { status, ...others } = search;
  if (status === undefined && Object.keys(others).length === 0)
    return (
      <Empty title="No payment waits for you." icon="check">
        New requests appear here by themselves.
      </Empty>
    );
  return (
    <Empty title="No payment matches the filters." icon="search">
      <Link to="/payments" search={{ status: ['ANY'] }}>
        Show all payments
      </Link>
    </Empty>
  );
}
