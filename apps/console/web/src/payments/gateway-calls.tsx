import { Alert, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type JobOfAggregate } from '@twinbox/client/admin';
import { type PaymentRequest, type TimelineStep } from '@twinbox/client/payments';
import { Card } from '../shared/card.js';
import { useClients } from '../shared/clients.js';
import { Failure } from '../shared/failure.js';
import { messagesQuery } from '../shared/messages-query.js';
import { Time } from '../shared/time.js';

interface GatewayCallsProps {
  readonly payment: PaymentRequest;
  readonly steps: readonly TimelineStep[];
}

/** The calls to the gateway: those that ended are in the timeline, and the others are jobs. */
export function GatewayCalls({ payment, steps }: GatewayCallsProps) {
  const { admin } = useClients();
  const { data, error, refetch } = useQuery(messagesQuery(admin, 'payments', payment.orderId));
  const ended = steps.filter(({ cause }) => cause === 'charge' || cause === 'refund');
  const jobs = data?.jobs ?? [];
  const isManual = payment.gateway === 'manual' && ended.length === 0 && jobs.length === 0;
  return (
    <Card title="Gateway calls">
      {error && <Failure error={error} onRetry={refetch} />}
      <Stack gap="xs">
        {jobs.map((job) => (
          <Job key={job.id} job={job} />
        ))}
        {ended.map(({ position, type, cause, at }) => (
          <Text key={position} size="sm">
            <Time at={at} /> {cause}: {type}
          </Text>
        ))}
        {isManual && (
          <Text size="sm" c="dimmed">
            None. The gateway is manual: an operator or the webhook of the provider decides the payment.
          </Text>
        )}
        {!isManual && data && jobs.length + ended.length === 0 && (
          <Text size="sm" c="dimmed">
            None yet.
          </Text>
        )}
      </Stack>
    </Card>
  );
}

function Job({ job }: { readonly job: JobOfAggregate }) {
  const { queue, attempts, error, runAt, running, diedAt, history } = job;
  return (
    <Alert color={diedAt === null ? 'yellow' : 'red'} title={`${queue}: ${stateOf(job)}`}>
      <Text size="sm">
        {attempts} {attempts === 1 ? 'attempt' : 'attempts'}
        {diedAt === null && !running && (
          <>
            , next <Time at={runAt} relative />
          </>
        )}
      </Text>
      {error !== null && <Text size="sm">{error}</Text>}
      {history.length > 1 && (
        <details>
          <summary>Attempts before</summary>
          <ul>
            {history.map(({ at, error }) => (
              <li key={at}>
                <Time at={at} />: {error}
              </li>
            ))}
          </ul>
        </details>
      )}
    </Alert>
  );
}

function stateOf({ running, diedAt, attempts }: JobOfAggregate): string {
  if (diedAt !== null) return 'given up';
  if (running) return 'running';
  return attempts > 0 ? 'waits for another attempt' : 'waits';
}
