import { Anchor, Card, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useClients } from '../shared/clients.js';
import { Failure } from '../shared/failure.js';
import { Money } from '../shared/money.js';
import { StatusBadge } from '../shared/status-badge.js';
import { Time } from '../shared/time.js';
import { useSession } from '../shell/session.js';
import classes from './latest-orders.module.css';
import { latestOrdersQuery } from './queries.js';

/** The customer's latest orders, each with the way to its page. */
export function LatestOrders() {
  const { orders } = useClients();
  const { user } = useSession();
  const { data, error, refetch } = useQuery(latestOrdersQuery(orders, user.id));
  if (!data) return error ? <Failure error={error} onRetry={refetch} /> : null;
  const placed = data.items.filter(({ status }) => status !== 'DRAFT');
  return (
    <Card withBorder padding="sm" bg="var(--twinbox-surface)" component="section" aria-label="Your latest orders">
      <Title order={2} size="h5" mb="xs">
        Your latest orders
      </Title>
      {placed.length === 0 && (
        <Text size="sm" c="dimmed">
          None yet.
        </Text>
      )}
      <ul className={classes['list']}>
        {placed.map(({ id, status, total, currency, createdAt }) => (
          <li key={id} className={classes['order']}>
            <Anchor component={Link} to={`/shop/orders/${id}`} size="sm">
              <Money amount={total} currency={currency} />, <Time relative at={createdAt} />
            </Anchor>
            <StatusBadge status={status} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
