import { randomBytes } from 'node:crypto';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { testBrokers } from '@twinbox/messaging/testing';

/** Topics and consumer groups that no other test uses, named as in the services' environment. */
export interface ServiceTopics {
  readonly brokers: readonly string[];
  readonly orderEvents: string;
  readonly paymentEvents: string;
  /** Returns the environment of the service, whose consumer group is `<name>-<unique>`. */
  env(name: string): Record<string, string>;
}

export async function createServiceTopics(brokers: readonly string[] = testBrokers()): Promise<ServiceTopics> {
  const unique = randomBytes(4).toString('hex');
  const orderEvents = `order.events-${unique}`;
  const paymentEvents = `payment.events-${unique}`;
  await createTopics({ brokers, clientId: 'test' }, [
    { ...ORDER_EVENTS, name: orderEvents },
    { ...PAYMENT_EVENTS, name: paymentEvents },
  ]);
  return {
    brokers,
    orderEvents,
    paymentEvents,
    env: (name) => ({
      KAFKA_BROKERS: brokers.join(','),
      ORDER_EVENTS_TOPIC: orderEvents,
      PAYMENT_EVENTS_TOPIC: paymentEvents,
      CONSUMER_GROUP: `${name}-${unique}`,
      NOTIFICATIONS_GROUP: `${name}-notifications-${unique}`,
    }),
  };
}
