import { randomBytes } from 'node:crypto';
import * as contracts from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { testBrokers } from '@twinbox/messaging/testing';
import { type Topic, TOPICS } from '@twinbox/migrations/services';

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
  const topics: Pick<typeof contracts, Topic> = contracts;
  const nameOf = (topic: Topic) => `${topics[topic].name}-${unique}`;
  await createTopics(
    { brokers, clientId: 'test' },
    TOPICS.map((topic) => ({ ...topics[topic], name: nameOf(topic) })),
  );
  const names = Object.fromEntries(TOPICS.map((topic) => [`${topic}_TOPIC`, nameOf(topic)]));
  return {
    brokers,
    orderEvents: nameOf('ORDER_EVENTS'),
    paymentEvents: nameOf('PAYMENT_EVENTS'),
    env: (name) => ({
      KAFKA_BROKERS: brokers.join(','),
      ...names,
      CONSUMER_GROUP: `${name}-${unique}`,
      NOTIFICATIONS_GROUP: `${name}-notifications-${unique}`,
    }),
  };
}
