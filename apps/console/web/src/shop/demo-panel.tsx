import { Anchor, Button, Card, Progress, Stack, Text, Title } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Failure } from '../shared/failure.js';
import { requestJson } from '../shared/http.js';
import { hasRole, useSession } from '../shell/session.js';
import { PauseConsumer } from './pause-consumer.js';

/** How far a run of demo orders is. */
interface DemoRun {
  readonly running: boolean;
  readonly requested: number;
  readonly placed: number;
  readonly failed: number;
}

const KEY = ['demo', 'orders'];

/** Makes the system move, so that a newcomer sees what happens where. Only the demo stack has it. */
export function DemoPanel() {
  const { user } = useSession();
  const queries = useQueryClient();
  const { data } = useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => requestJson<DemoRun>('/demo/orders', { signal }),
    refetchInterval: ({ state: { data } }) => (data?.running ? 400 : false),
  });
  const start = useMutation({
    mutationFn: async () => requestJson<DemoRun>('/demo/orders', { method: 'POST', body: { count: 50 } }),
    onSuccess: (run) => queries.setQueryData(KEY, run),
  });
  const isRunning = start.isPending || data?.running === true;
  return (
    <Card withBorder padding="sm" bg="var(--twinbox-surface)" mb="md" component="section" aria-label="Demo">
      <Stack gap="xs">
        <Title order={2} size="h5">
          Demo
        </Title>
        <Text size="sm" c="dimmed">
          Place many orders at once, and watch them pass through both services.
        </Text>
        <Button loading={isRunning} onClick={() => start.mutate()}>
          Place 50 orders
        </Button>
        {data && data.requested > 0 && <Run run={data} />}
        {start.error && <Failure error={start.error} />}
        {hasRole(user, 'admin') && <PauseConsumer />}
        {hasRole(user, 'operator') && (
          <Anchor component={Link} to="/messaging/payments" size="sm">
            Watch the messages
          </Anchor>
        )}
      </Stack>
    </Card>
  );
}

function Run({ run: { requested, placed, failed, running } }: { readonly run: DemoRun }) {
  return (
    <>
      <Progress.Root>
        <Progress.Section
          value={((placed + failed) / requested) * 100}
          aria-label="Orders placed"
          color={failed > 0 && !running ? 'yellow' : 'green'}
        />
      </Progress.Root>
      <Text size="xs" role="status">
        {placed} of {requested} placed{failed > 0 && `, ${failed} failed`}.
      </Text>
    </>
  );
}
