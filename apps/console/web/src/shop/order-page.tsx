import './styles.js';
import { Badge, Button, Card, Grid, Group, Stack, Table, Text, Title } from '@mantine/core';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type Order } from '@twinbox/client/orders';
import { useState } from 'react';
import { useClients } from '../shared/clients.js';
import { ConfirmDialog } from '../shared/confirm-dialog.js';
import { CopyableId } from '../shared/copyable-id.js';
import { Failure } from '../shared/failure.js';
import { Money } from '../shared/money.js';
import { Page } from '../shared/page.js';
import { Loading } from '../shared/states.js';
import { StatusBadge } from '../shared/status-badge.js';
import { isCancellable } from './order-progress.js';
import { OrderSteps } from './order-steps.js';
import { OrderWay } from './order-way.js';
import { useLiveOrder } from './use-live-order.js';

const route = getRouteApi('/shop/orders/$id');

/** An order, and what happens to it at this moment. */
export function OrderPage() {
  const { id } = route.useParams();
  return <LiveOrder key={id} id={id} />;
}

function LiveOrder({ id }: { readonly id: string }) {
  const [{ order, steps, isLive, error }, retry] = useLiveOrder(id);
  return (
    <Page title="Your order" aside={order && <OrderAside order={order} isLive={isLive} />}>
      {Boolean(error) && <Failure error={error} onRetry={retry} />}
      {order ? (
        <>
          <OrderWay status={order.status} steps={steps} />
          <Grid gap="lg">
            <Grid.Col span={{ base: 12, md: 6 }}>
              <Items order={order} />
            </Grid.Col>
            <Grid.Col span={{ base: 12, md: 6 }}>
              <OrderSteps steps={steps} />
            </Grid.Col>
          </Grid>
        </>
      ) : (
        !error && <Loading what="Loading the order" />
      )}
    </Page>
  );
}

function OrderAside({ order, isLive }: { readonly order: Order; readonly isLive: boolean }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Group gap="xs">
      <Badge variant="dot" color={isLive ? 'green' : 'gray'} tt="none" role="status">
        {isLive ? 'Live' : 'Reconnecting …'}
      </Badge>
      <StatusBadge status={order.status} />
      {isCancellable(order.status) && (
        <Button size="compact-sm" variant="outline" color="red" onClick={() => setOpen(true)}>
          Cancel the order
        </Button>
      )}
      <Button size="compact-sm" component={Link} to="/shop" variant="default">
        Back to the shop
      </Button>
      {isOpen && <CancelDialog orderId={order.id} onClose={() => setOpen(false)} />}
    </Group>
  );
}

function CancelDialog({ orderId, onClose }: { readonly orderId: string; readonly onClose: () => void }) {
  const { orders } = useClients();
  return (
    <ConfirmDialog
      title="Cancel this order?"
      confirm="Cancel the order"
      isDestructive
      reason={{ label: 'Reason', maxLength: 500 }}
      send={async (reason, idempotencyKey) => orders.cancelOrder({ orderId, reason }, { idempotencyKey })}
      onClose={onClose}
    >
      <Text size="sm">It cannot be taken back. A payment that is under way is stopped or refunded.</Text>
    </ConfirmDialog>
  );
}

function Items({ order: { id, items, total, currency, payment, cancelReason } }: { readonly order: Order }) {
  return (
    <Card withBorder bg="var(--twinbox-surface)" component="section" aria-label="Items">
      <Stack gap="xs">
        <Title order={2} size="h5">
          Items
        </Title>
        <Table>
          <Table.Tbody>
            {items.map(({ productId, name, quantity, unitPrice }) => (
              <Table.Tr key={productId}>
                <Table.Td>
                  {quantity} × {name}
                </Table.Td>
                <Table.Td ta="right">
                  <Money amount={quantity * unitPrice} currency={currency} />
                </Table.Td>
              </Table.Tr>
            ))}
            <Table.Tr>
              <Table.Th scope="row">Total</Table.Th>
              <Table.Td ta="right">
                <b>
                  <Money amount={total} currency={currency} />
                </b>
              </Table.Td>
            </Table.Tr>
          </Table.Tbody>
        </Table>
        {payment && (
          <Group gap="xs">
            <Text size="sm">Payment</Text> <StatusBadge status={payment.status} />
          </Group>
        )}
        {cancelReason !== null && <Text size="sm">Cancelled: {cancelReason}</Text>}
        <CopyableId id={id} of="order" />
      </Stack>
    </Card>
  );
}
