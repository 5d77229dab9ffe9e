import { Card, Stack, Title } from '@mantine/core';
import { lazy, Suspense, useMemo } from 'react';
import { Failure } from '../../shared/failure.js';
import { Loading } from '../../shared/states.js';
import { MessagingLayout } from '../layout.js';
import { useOverview, useReadings } from '../use-messaging.js';
import { flowOf } from './flow.js';
import { IncidentList } from './incident-list.js';
import { PartsTable } from './parts-table.js';
import { Picture } from './picture.js';
import { ProblemList } from './problem-list.js';
import { trendOf } from './readings.js';

// The charts are a quarter of the page's code, and nobody has to wait for them.
const RatesPanel = lazy(async () => ({ default: (await import('../rates/rates-panel.js')).RatesPanel }));

/** How messages flow through a service, what is stuck, and the switches to stop and start its parts. */
export function FlowPage() {
  return (
    <MessagingLayout>
      <FlowOfService />
    </MessagingLayout>
  );
}

function FlowOfService() {
  const { data, error, refetch } = useOverview();
  const readings = useReadings();
  const flow = useMemo(() => data && flowOf(data, trendOf(readings)), [data, readings]);
  if (!data || !flow) return error ? <Failure error={error} onRetry={refetch} /> : <Loading what="Loading" />;
  return (
    <Stack gap="lg">
      {error && <Failure error={error} onRetry={refetch} />}
      <ProblemList problems={data.problems} />
      <IncidentList />
      <Card withBorder padding="sm" bg="var(--twinbox-surface)">
        <Picture flow={flow} at={data.at} />
      </Card>
      <Suspense fallback={<Loading />}>
        <RatesPanel readings={readings} />
      </Suspense>
      <section aria-labelledby="parts">
        <Title order={2} size="h4" id="parts" mb="xs">
          Parts
        </Title>
        <PartsTable overview={data} />
      </section>
    </Stack>
  );
}
