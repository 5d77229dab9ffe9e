import { Card, Text, Timeline, Title } from '@mantine/core';
import { Time } from '../shared/time.js';
import { type ShownStep } from './order-progress.js';
import { wordsOf } from '../shared/words.js';

/** What has happened to the order, the latest first. New steps appear by themselves, and are read out. */
export function OrderSteps({ steps }: { readonly steps: readonly ShownStep[] }) {
  return (
    <Card withBorder bg="var(--twinbox-surface)" component="section" aria-label="What has happened">
      <Title order={2} size="h5" mb="sm">
        What has happened
      </Title>
      <div role="log" aria-label="Steps of the order">
        <Timeline bulletSize={14} lineWidth={2} active={steps.length}>
          {steps.toReversed().map(({ position, type, at, actor, detail }) => (
            <Timeline.Item key={position} title={wordsOf(type)}>
              <Text size="sm" c="dimmed">
                <Time at={at} />, by {actor}
              </Text>
              {typeof detail?.['reason'] === 'string' && <Text size="sm">{detail['reason']}</Text>}
            </Timeline.Item>
          ))}
        </Timeline>
      </div>
    </Card>
  );
}
