import { Text, Timeline } from '@mantine/core';
import { type FailedAttempt } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';

/** The latest failed attempts, the newest first. */
export function Attempts({ history }: { readonly history: readonly FailedAttempt[] }) {
  if (history.length === 0)
    return (
      <Text size="sm" c="dimmed">
        No attempt is recorded.
      </Text>
    );
  return (
    <Timeline bulletSize={12} lineWidth={2} color="red" active={0}>
      {history.toReversed().map(({ at, error }) => (
        <Timeline.Item key={`${at} ${error}`} title={<Time relative at={at} />}>
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            {error}
          </Text>
        </Timeline.Item>
      ))}
    </Timeline>
  );
}
