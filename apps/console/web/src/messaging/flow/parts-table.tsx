import { Badge, Table, Text } from '@mantine/core';
import { type LatestFailure, type MessagingOverview, type PauseNote } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';
import { nameOf, type Pausable, PauseButton } from '../pauses/pause-button.js';
import { useIsAdmin } from '../service.js';
import { count, perSecond } from './flow.js';

interface Part {
  readonly target: Pausable;
  readonly title: string;
  readonly paused: PauseNote | null;
  readonly state: string;
  readonly work: string;
  readonly waiting: string;
  /** Why its latest attempt failed; null if nothing is to be retried. */
  readonly failure: LatestFailure | null;
}

/** What a service runs, in words and numbers, and the switches for it. */
export function PartsTable({ overview }: { readonly overview: MessagingOverview }) {
  const isAdmin = useIsAdmin();
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table verticalSpacing="xs">
        <Table.Caption>A pause holds in all replicas, and survives restarts.</Table.Caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Part</Table.Th>
            <Table.Th scope="col">State</Table.Th>
            <Table.Th scope="col">Work</Table.Th>
            <Table.Th scope="col">Waiting</Table.Th>
            {isAdmin && <Table.Th scope="col">Action</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {partsOf(overview).map((part) => (
            <Row key={nameOf(part.target)} part={part} isAdmin={isAdmin} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ part, isAdmin }: { readonly part: Part; readonly isAdmin: boolean }) {
  const { target, title, paused, state, work, waiting, failure } = part;
  return (
    <Table.Tr>
      <Table.Th scope="row">
        {title}
        <Text size="xs" c="dimmed">
          {target.kind === 'queue' ? 'job queue' : target.kind}
        </Text>
      </Table.Th>
      <Table.Td>{paused ? <Paused note={paused} /> : state}</Table.Td>
      <Table.Td>{work}</Table.Td>
      <Table.Td>
        {waiting}
        {failure && (
          <Text size="xs" c="red" lineClamp={2} title={failure.error}>
            Latest failure: {failure.error}
          </Text>
        )}
      </Table.Td>
      {isAdmin && (
        <Table.Td>
          <PauseButton target={target} isPaused={paused !== null} />
        </Table.Td>
      )}
    </Table.Tr>
  );
}

function Paused({ note: { actor, since, reason } }: { readonly note: PauseNote }) {
  return (
    <>
      <Badge color="gray" variant="filled">
        paused
      </Badge>{' '}
      <Text span size="sm">
        by {actor} <Time relative at={since} />
      </Text>
      {reason !== null && (
        <Text size="xs" c="dimmed">
          {reason}
        </Text>
      )}
    </>
  );
}

function partsOf({ relay, consumers, queues }: MessagingOverview): Part[] {
  return [
    {
      target: { kind: 'relay', name: 'relay' },
      title: 'Relay',
      paused: relay.paused,
      state: relay.state === 'leading' ? `publishing (${relay.holder ?? 'unknown'})` : 'no process publishes',
      work: `${perSecond(relay.publishedPerSecond)} published`,
      waiting: `${count(relay.unpublished.ready.messages)} unpublished`,
      failure: null,
    },
    ...consumers.map(({ consumer, paused, group, inFlight, processedPerSecond, parked, latestFailure }): Part => ({
      target: { kind: 'consumer', name: consumer },
      title: consumer,
      paused,
      state:
        group === null ? 'unknown' : `${group.state}, ${group.members} ${group.members === 1 ? 'member' : 'members'}`,
      work: `${perSecond(processedPerSecond)} processed, ${count(inFlight)} in flight`,
      waiting: `lag ${group === null ? 'unknown' : count(group.lag)}, ${count(parked)} parked`,
      failure: latestFailure,
    })),
    ...queues.map(({ queue, paused, due, running, retrying, scheduled, latestFailure }): Part => ({
      target: { kind: 'queue', name: queue },
      title: queue,
      paused,
      state: 'running',
      work: `${count(running)} running`,
      waiting: `${count(due)} due, ${count(retrying)} to be retried, ${count(scheduled)} scheduled`,
      failure: latestFailure,
    })),
  ];
}
