import { loadConfig } from '@twinbox/api-kit';
import { OrderServiceConfig } from './config.js';

const needed = { DATABASE_URL: 'postgres://orders@db/twinbox', KAFKA_BROKERS: 'kafka:9092' };

it('accepts the names of existing topics and groups', () => {
  const names = {
    ORDER_EVENTS_TOPIC: 'pay-order',
    PAYMENT_EVENTS_TOPIC: 'payment-results',
    CONSUMER_GROUP: 'shop',
    NOTIFICATIONS_GROUP: 'shop-letters',
  };

  expect(loadConfig(OrderServiceConfig, { ...needed, ...names })).toMatchObject(names);
});

it.each([
  [
    'one consumer group for both topics',
    { CONSUMER_GROUP: 'shop', NOTIFICATIONS_GROUP: 'shop' },
    'NOTIFICATIONS_GROUP="shop": it must differ from CONSUMER_GROUP.',
  ],
  [
    'the group that notifications have by default',
    { CONSUMER_GROUP: 'order-service-notifications' },
    'CONSUMER_GROUP="order-service-notifications": it must differ from NOTIFICATIONS_GROUP.',
  ],
  [
    'the same topic for publishing and consuming',
    { ORDER_EVENTS_TOPIC: 'events', PAYMENT_EVENTS_TOPIC: 'events' },
    'PAYMENT_EVENTS_TOPIC="events": it must differ from ORDER_EVENTS_TOPIC.',
  ],
])('does not start with %s', (_, names, problem) => {
  expect(() => loadConfig(OrderServiceConfig, { ...needed, ...names })).toThrow(problem);
});
