import { Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { type PaymentRequest } from '@twinbox/client/payments';
import { Card } from '../shared/card.js';
import { useClients } from '../shared/clients.js';
import { shortId } from '../shared/copyable-id.js';
import { Failure } from '../shared/failure.js';
import { Icon } from '../shared/icon.js';
import { Money } from '../shared/money.js';
import { PageTitle } from '../shared/page.js';
import { ShortcutsHelp } from '../shared/shortcuts-help.js';
import { Loading } from '../shared/states.js';
import { PageLink } from '../shared/page-link.js';
import { StatusBadge } from '../shared/status-badge.js';
import { SteadyButton } from '../shared/steady-button.js';
import { StepList } from '../shared/step-list.js';
import { useShortcuts } from '../shared/use-shortcuts.js';
import { DecidedNotice } from './decided-notice.js';
import { GatewayCalls } from './gateway-calls.js';
import { OrderCard } from './order-card.js';
import { PaymentFacts } from './payment-facts.js';
import { paymentQuery, stepsQuery } from './queries.js';
import { SettleButtons } from './settle-buttons.js';
import { useNeighbours } from './use-neighbours.js';

const route = getRouteApi('/payments/$id');

const KEYS = [
  ['s', 'Mark as succeeded'],
  ['f', 'Mark as failed'],
  ['r', 'Mark as refunded'],
  ['j', 'Next payment'],
  ['k', 'Previous payment'],
  ['u', 'Back to the list'],
] as const;

/** One payment with all that is known about it, and what an operator may do with it. */
export function PaymentPage() {
  const { id } = route.useParams();
  const { payments } = useClients();
  const { data, error, refetch } = useQuery(paymentQuery(payments, id));
  return (
    <Stack gap="md">
      <PageTitle title={`Payment ${shortId(id)}`} />
      <Neighbours id={id} />
      {error && (
        <Failure error={error} onRetry={refetch} {...(data && { title: 'The payment could not be refreshed.' })} />
      )}
      {data && <WholePayment key={id} payment={data} />}
      {!data && !error && <Loading what="Loading the payment" />}
    </Stack>
  );
}

function WholePayment({ payment }: { readonly payment: PaymentRequest }) {
  const { payments } = useClients();
  const { id, orderId, amount, currency, status, version } = payment;
  const steps = useQuery(stepsQuery(payments, id, version));
  return (
    <>
      <Group justify="space-between" align="flex-end">
        <div>
          <Text size="sm" c="dimmed">
            Payment {shortId(id)}
          </Text>
          <Group gap="sm">
            <Title order={1} size={34} tabIndex={-1}>
              <Money amount={amount} currency={currency} />
            </Title>
            <StatusBadge status={status} />
          </Group>
        </div>
        <SettleButtons payment={payment} />
      </Group>
      <DecidedNotice payment={payment} />
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Stack>
          <Card title="Details">
            <PaymentFacts payment={payment} />
          </Card>
          <OrderCard orderId={orderId} />
        </Stack>
        <Stack>
          <Card title="Timeline">
            {steps.error && <Failure error={steps.error} onRetry={steps.refetch} />}
            {steps.data ? <StepList steps={steps.data} /> : !steps.error && <Loading what="Loading the timeline" />}
          </Card>
          <GatewayCalls payment={payment} steps={steps.data ?? []} />
        </Stack>
      </SimpleGrid>
    </>
  );
}

function Neighbours({ id }: { readonly id: string }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const { next, previous } = useNeighbours(id, search);
  const open = (to: string | undefined) =>
    to !== undefined && void navigate({ to: '/payments/$id', params: { id: to }, search });
  useShortcuts({
    j: () => open(next),
    k: () => open(previous),
    u: () => void navigate({ to: '/payments', search }),
  });
  return (
    <Group justify="space-between">
      <PageLink to="/payments" search={search} size="sm">
        ← Payments
      </PageLink>
      <Group gap={6}>
        <SteadyButton
          variant="default"
          size="xs"
          leftSection={<Icon name="left" size={14} />}
          unavailable={previous === undefined ? 'There is none before it in the list.' : undefined}
          onClick={() => open(previous)}
        >
          Previous
        </SteadyButton>
        <SteadyButton
          variant="default"
          size="xs"
          rightSection={<Icon name="right" size={14} />}
          unavailable={next === undefined ? 'There is none after it in the list.' : undefined}
          onClick={() => open(next)}
        >
          Next
        </SteadyButton>
        <ShortcutsHelp keys={KEYS} />
      </Group>
    </Group>
  );
}
