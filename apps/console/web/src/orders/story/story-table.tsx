import { Table, VisuallyHidden } from '@mantine/core';
import '@mantine/core/styles/ScrollArea.css';
import { wordsOf } from '../../shared/words.js';
import { durationText } from '../../shared/time-text.js';
import { Time } from '../../shared/time.js';
import { type Story, type StoryMessage, type StoryNode } from './story.js';

/** The picture of an order in words. */
export function StoryTable({ story }: { readonly story: Story }) {
  const rows = [
    ...story.nodes.map((node) => ({ at: node.at, node })),
    ...story.messages.map((message) => ({ at: message.sentAt, message })),
  ].sort((one, other) => one.at.localeCompare(other.at));
  return (
    <Table.ScrollContainer minWidth={520}>
      <Table>
        <caption>
          <VisuallyHidden>Steps of the order and messages between the services</VisuallyHidden>
        </caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Time</Table.Th>
            <Table.Th scope="col">Service</Table.Th>
            <Table.Th scope="col">What happened</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) =>
            'node' in row ? (
              <NodeRow key={row.node.key} node={row.node} />
            ) : (
              <MessageRow key={row.message.id} message={row.message} />
            ),
          )}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function NodeRow({ node: { at, lane, type, actor, detail, isStuck } }: { readonly node: StoryNode }) {
  const what = [isStuck ? type : wordsOf(type), actor && `by ${actor}`].filter(Boolean).join(' ');
  return (
    <Table.Tr>
      <Table.Td>
        <Time at={at} />
      </Table.Td>
      <Table.Td>{serviceOf(lane)}</Table.Td>
      <Table.Td>
        {what}
        {detail !== undefined && `: ${detail}`}
      </Table.Td>
    </Table.Tr>
  );
}

function MessageRow({ message }: { readonly message: StoryMessage }) {
  const { sentAt, from, type, state, receivedAt, error } = message;
  const took = receivedAt === undefined ? '' : ` after ${durationText(Date.parse(receivedAt) - Date.parse(sentAt))}`;
  return (
    <Table.Tr>
      <Table.Td>
        <Time at={sentAt} />
      </Table.Td>
      <Table.Td>{serviceOf(from)}</Table.Td>
      <Table.Td>
        Message {type}, {state}
        {took}
        {error !== undefined && `: ${error}`}
      </Table.Td>
    </Table.Tr>
  );
}

function serviceOf(lane: StoryNode['lane']): string {
  return lane === 'orders' ? 'order-service' : 'payment-service';
}
