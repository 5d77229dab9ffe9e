import { type MessagesOfAggregate } from '@twinbox/client/admin';
import { type Account, storyOf } from './story.js';

const none: MessagesOfAggregate = { raised: [], held: [], discarded: [], jobs: [] };

function at(second: number): string {
  return `2026-12-01T10:00:${String(second).padStart(2, '0')}.000Z`;
}

function aStep(position: number, type: string, second: number, messageId: string) {
  return { position, type, at: at(second), actor: 'system', cause: null, messageId, detail: null };
}

function aMessage(id: string, type: string, second: number) {
  return {
    position: '1',
    id,
    aggregateType: 'order',
    type,
    sequence: '1',
    createdAt: at(second),
    state: 'published' as const,
    error: null,
    diedAt: null,
    consumed: [],
  };
}

function placed(): Account {
  const steps = [aStep(1, 'OrderPlaced', 1, 'm1')];
  return { lane: 'orders', steps, messages: { ...none, raised: [aMessage('m1', 'OrderPlaced', 1)] }, records: [] };
}

it('draws a message from the step that published it to the step that it caused', () => {
  const payments: Account = {
    lane: 'payments',
    steps: [aStep(1, 'PaymentRequested', 2, 'm1')],
    messages: { ...none, raised: [aMessage('m2', 'PaymentRequested', 2)] },
    records: [],
  };

  const { nodes, messages } = storyOf(placed(), payments);

  expect(nodes.map(({ lane, type }) => [lane, type])).toEqual([
    ['orders', 'OrderPlaced'],
    ['payments', 'PaymentRequested'],
  ]);
  expect(messages).toMatchObject([
    { type: 'OrderPlaced', from: 'orders', state: 'received', source: 'orders 1', target: 'payments 1' },
    { type: 'PaymentRequested', from: 'payments', state: 'published', source: 'payments 1' },
  ]);
});

it('shows where a message is stuck, and why', () => {
  const held = {
    id: '7',
    consumer: 'payment-service',
    topic: 'order.events',
    messageId: 'm1',
    type: 'OrderPlaced',
    attempts: 5,
    error: 'the handler failed',
    parkedAt: at(3),
    nextAttemptAt: null,
    diedAt: at(9),
    history: [],
  };
  const payments: Account = { lane: 'payments', steps: [], messages: { ...none, held: [held] }, records: [] };

  const { nodes, messages } = storyOf(placed(), payments);

  expect(messages).toMatchObject([{ state: 'dead', error: 'the handler failed', target: 'stuck m1' }]);
  expect(nodes.at(-1)).toMatchObject({ lane: 'payments', at: at(9), isStuck: true, detail: 'the handler failed' });
});

it('shows who discarded a message, although the inbox has recorded it', () => {
  const discarded = { consumer: 'payment-service', messageId: 'm1', type: 'OrderPlaced', at: at(9), actor: 'olga' };
  const records = [{ consumer: 'payment-service', source: '/order-service', messageId: 'm1', receivedAt: at(3) }];
  const payments: Account = { lane: 'payments', steps: [], messages: { ...none, discarded: [discarded] }, records };

  const { nodes, messages } = storyOf(placed(), payments);

  expect(messages).toMatchObject([{ state: 'discarded', target: 'stuck m1' }]);
  expect(nodes.at(-1)).toMatchObject({
    type: 'OrderPlaced was discarded',
    at: at(9),
    isStuck: false,
    detail: 'by olga',
  });
});
