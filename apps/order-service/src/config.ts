import { EnvInt, EnvName, ServiceConfig } from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';

/** What order-service reads from its environment. */
export class OrderServiceConfig extends ServiceConfig {
  @EnvInt(0, 65_535)
  override PORT = 8081;

  @EnvName()
  ORDER_EVENTS_TOPIC: string = ORDER_EVENTS.name;

  @EnvName()
  PAYMENT_EVENTS_TOPIC: string = PAYMENT_EVENTS.name;

  /** The Kafka consumer group, and the service's name in its inbox: renaming it handles everything again. */
  @EnvName()
  CONSUMER_GROUP = 'order-service';
}
