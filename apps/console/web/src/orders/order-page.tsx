import { Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type Order } from '@twinbox/client/orders';
import { Card } from '../shared/card.js';
import { useClients } from '../shared/clients.js';
import { CopyableId, shortId } from '../shared/copyable-id.js';
import { Facts } from '../shared/facts.js';
import { Failure } from '../shared/failure.js';
import { Money } from '../shared/money.js';
import { PageLink } from '../shared/page-link.js';
import { PageTitle } from '../shared/page.js';
import { ShortcutsHelp } from '../shared/shortcuts-help.js';
import { Loading } from '../shared/states.js';
import { LateBadge, StatusBadge } from '../shared/status-badge.js';
import { Time } from '../shared/time.js';
import { Items } from './items.js';
import { OrderButtons } from './order-buttons.js';
import { PaymentCard } from './payment-card.js';
import { orderQuery, paymentOfOrderQuery } from './queries.js';
import { Picture } from './story/picture.js';
import { StoryTable } from './story/story-table.js';
import { useStory } from './story/use-story.js';

const route = getRouteApi('/orders/$id');

const KEYS = [
  ['c', 'Cancel the order'],
  ['f', 'Finish the order'],
] as const;

/** One order with its story in both services. */
export function OrderPage() {
  const { id } = route.useParams();
  const { orders } = useClients();
  const { data, error, refetch } = useQuery(orderQuery(orders, id));
  return (
    <Stack gap="md">
      <PageTitle title={`Order ${shortId(id)}`} />
      <Group justify="space-between">
        <PageLink to="/orders" size="sm">
          ← Orders
        </PageLink>
        <ShortcutsHelp keys={KEYS} />
      </Group>
      {error && (
        <Failure error={error} onRetry={refetch} {...(data && { title: 'The order could not be refreshed.' })} />
      )}
      {data && <WholeOrder order={data} />}
      {!data && !error && <Loading what="Loading the order" />}
    </Stack>
  );
}

function WholeOrder({ order }: { readonly order: Order }) {
  const clients = useClients();
  const payment = useQuery(paymentOfOrderQuery(clients, order.id));
  return (
    <>
      <Group justify="space-between" align="flex-end">
        <div>
          <Text size="sm" c="dimmed">
            Order of {order.customerId}
          </Text>
          <Group gap="sm">
            <Title order={1} size={34} tabIndex={-1}>
              <Money amount={order.total} currency={order.currency} />
            </Title>
            <StatusBadge status={order.status} />
            {order.late && <LateBadge />}
          </Group>
        </div>
        <OrderButtons order={order} />
      </Group>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Card title="Details">
          <OrderFacts order={order} />
        </Card>
        <Stack>
          <Card title="Items">
            <Items order={order} />
          </Card>
          <PaymentCard payment={payment.data} error={payment.error} onRetry={payment.refetch} />
        </Stack>
      </SimpleGrid>
      <StoryCard order={order} payment={payment.data} />
    </>
  );
}

function OrderFacts({ order }: { readonly order: Order }) {
  const { id, customerId, description, cancelReason, dueAt, createdAt, updatedAt, version } = order;
  return (
    <Facts
      facts={[
        ['Id', <CopyableId key="id" id={id} of="order" />],
        ['Customer', customerId],
        ['Description', description],
        ['Created', <Time key="at" at={createdAt} />],
        ['Changed', <Time key="at" at={updatedAt} />],
        ['Due', dueAt !== null && <Time key="at" at={dueAt} relative />],
        ['Cancelled because', cancelReason],
        ['Version', version],
      ]}
    />
  );
}

function StoryCard({ order, payment }: Parameters<typeof StoryContent>[0]) {
  return (
    <Card title="Story">
      <StoryContent order={order} payment={payment} />
    </Card>
  );
}

function StoryContent({ order, payment }: { readonly order: Order; readonly payment: Parameters<typeof useStory>[1] }) {
  const { story, error, isPending, retry } = useStory(order, payment);
  if (isPending) return <Loading what="Loading the story" />;
  return (
    <Stack>
      {error && <Failure error={error} onRetry={retry} title="The story is not complete." />}
      <Picture story={story} />
      <details>
        <summary>Show as a table</summary>
        <StoryTable story={story} />
      </details>
    </Stack>
  );
}
