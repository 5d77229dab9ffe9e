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

/** Creates the topics. */
export async function createServiceTopics(brokers: readonly string[] = testBrokers()): Promise<ServiceTopics> {
  const named = nameServiceTopics(brokers);
  await createTopics({ brokers, clientId: 'test' }, named.topics);
  return named;
}

/** Chooses names for the topics, and leaves their creation to the caller. */
export function nameServiceTopics(brokers: readonly string[] = testBrokers()) {
  const unique = randomBytes(4).toString('hex');
  const contractOf: Pick<typeof contracts, Topic> = contracts;
  const nameOf = (topic: Topic) => `${contractOf[topic].name}-${unique}`;
  const names = Object.fromEntries(TOPICS.map((topic) => [`${topic}_TOPIC`, nameOf(topic)]));
  return {
    brokers,
    topics: TOPICS.map((topic) => ({ ...contractOf[topic], name: nameOf(topic) })),
    orderEvents: nameOf('ORDER_EVENTS'),
    paymentEvents: nameOf('PAYMENT_EVENTS'),
    env: (name: string) => ({
      KAFKA_BROKERS: brokers.join(','),
      ...names,
      CONSUMER_GROUP: `${name}-${unique}`,
      NOTIFICATIONS_GROUP: `${name}-notifications-${unique}`,
    }),
  };
}
