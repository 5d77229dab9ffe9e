import { Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Card } from '../shared/card.js';
import { useClients } from '../shared/clients.js';
import { shortId } from '../shared/copyable-id.js';
import { Failure } from '../shared/failure.js';
import { Loading } from '../shared/states.js';
import { PageLink } from '../shared/page-link.js';
import { StatusBadge } from '../shared/status-badge.js';
import { Items } from '../orders/items.js';
import { orderQuery } from '../orders/queries.js';

/** The order that a payment is for. */
export function OrderCard({ orderId }: { readonly orderId: string }) {
  const { orders } = useClients();
  const { data: order, error, refetch } = useQuery(orderQuery(orders, orderId));
  return (
    <Card
      title="Order"
      aside={
        <PageLink to="/orders/$id" params={{ id: orderId }} size="sm">
          {`Order ${shortId(orderId)}`}
        </PageLink>
      }
    >
      {error && <Failure error={error} onRetry={refetch} />}
      {!order && !error && <Loading what="Loading the order" />}
      {order && (
        <Stack gap={6}>
          <div>
            <StatusBadge status={order.status} />
          </div>
          <Items order={order} />
        </Stack>
      )}
    </Card>
  );
}
