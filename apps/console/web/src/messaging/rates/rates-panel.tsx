import { Card, SimpleGrid, Title } from '@mantine/core';
import { useMemo } from 'react';
import { perSecond } from '../flow/flow.js';
import { type Reading } from '../flow/readings.js';
import { Chart } from './chart.js';
import { backlogOf, ratesOf } from './series.js';

const whole = (n: number) => Math.round(n).toLocaleString('en');

/** The rates and the backlog since the console watches the service, at most of the last 15 minutes. */
export function RatesPanel({ readings }: { readonly readings: readonly Reading[] }) {
  const [rates, backlog] = useMemo(() => [ratesOf(readings), backlogOf(readings)], [readings]);
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Card withBorder padding="sm" bg="var(--twinbox-surface)">
        <Title order={2} size="h5">
          Messages per second
        </Title>
        <Chart name="Messages per second" series={rates} format={perSecond} />
      </Card>
      <Card withBorder padding="sm" bg="var(--twinbox-surface)">
        <Title order={2} size="h5">
          Waiting messages
        </Title>
        <Chart name="Waiting messages" series={backlog} format={whole} isWhole />
      </Card>
    </SimpleGrid>
  );
}
