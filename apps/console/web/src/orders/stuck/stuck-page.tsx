import { Badge, Stack, Table, Text, VisuallyHidden } from '@mantine/core';
import { queryOptions, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type Clients, useClients } from '../../shared/clients.js';
import { shortId } from '../../shared/copyable-id.js';
import { Failure } from '../../shared/failure.js';
import classes from '../../shared/list/list-table.module.css';
import { Page } from '../../shared/page.js';
import { Empty, Loading } from '../../shared/states.js';
import { Time } from '../../shared/time.js';
import { Views } from '../views.js';
import { type Blockage, type Held, type ServiceName, type StuckOrder, stuckOrders } from './stuck-orders.js';

const MOST = 100;

/** The orders with a message that is parked or dead in one of the services. */
export function StuckPage() {
  const clients = useClients();
  const { data, error, refetch } = useQuery(stuckQuery(clients));
  return (
    <Page title="Orders">
      <Views />
      {error && <Failure error={error} onRetry={refetch} />}
      {!data && !error && <Loading what="Loading stuck orders" />}
      {data?.length === 0 && (
        <Empty title="No order is stuck." icon="check">
          An order appears here when one of its messages has failed for good, or waits for another one.
        </Empty>
      )}
      {data && data.length > 0 && <StuckTable orders={data} />}
    </Page>
  );
}

function StuckTable({ orders }: { readonly orders: readonly StuckOrder[] }) {
  return (
    <div className={classes['frame']}>
      <Table className={classes['table']}>
        <caption>
          <VisuallyHidden>Stuck orders</VisuallyHidden>
        </caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Order</Table.Th>
            <Table.Th scope="col">Since</Table.Th>
            <Table.Th scope="col">What it waits for</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {orders.map(({ orderId, since, blockages }) => (
            <Table.Tr key={orderId} className={classes['row']}>
              <Table.Td>
                <Link data-row to="/orders/$id" params={{ id: orderId }}>
                  {shortId(orderId)}
                </Link>
              </Table.Td>
              <Table.Td>
                <Time at={since} relative />
              </Table.Td>
              <Table.Td data-wrap>
                <Stack gap={4}>
                  {blockages.map((blockage) => (
                    <Blocked key={`${blockage.service} ${blockage.type} ${blockage.since}`} blockage={blockage} />
                  ))}
                </Stack>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Blocked({ blockage: { service, state, box, type, error } }: { readonly blockage: Blockage }) {
  const where = box === 'inbox' ? 'received by' : 'from';
  return (
    <Text size="sm" component="div">
      <Badge color={state === 'dead' ? 'red' : 'yellow'} variant="light" size="sm">
        {state}
      </Badge>{' '}
      {type ?? 'A message that cannot be read'} {where} {service === 'orders' ? 'order-service' : 'payment-service'}
      {error !== null && `: ${error}`}
    </Text>
  );
}

function stuckQuery({ admin }: Clients) {
  const heldBy = async (service: ServiceName, signal: AbortSignal): Promise<Held> => {
    const client = admin(service);
    const boxes = ['inbox', 'outbox'] as const;
    const letters = boxes.map(async (box) => client.listDeadLetters({ box, limit: MOST }, { signal }).page());
    const parked = boxes.map(async (box) => client.listParkedMessages({ box, limit: MOST }, { signal }).page());
    return {
      service,
      letters: (await Promise.all(letters)).flatMap(({ items }) => items),
      parked: (await Promise.all(parked)).flatMap(({ items }) => items),
    };
  };
  return queryOptions({
    queryKey: ['orders', 'stuck'],
    queryFn: async ({ signal }) =>
      stuckOrders(await Promise.all([heldBy('orders', signal), heldBy('payments', signal)])),
    refetchInterval: 5000,
  });
}
