import {
  EnvDuration,
  EnvFraction,
  EnvInt,
  EnvName,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalSecret,
  EnvOtherThan,
  ServiceConfig,
} from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { NotEquals } from 'class-validator';

/** The name under which the inbox remembers the provider's webhooks. */
export const WEBHOOKS = 'payment-webhooks';

const gateways = ['manual', 'simulated'] as const;

/** Four characters of base64 are three bytes: eight of them and up, until 64 bytes, which end with `==`. */
const SECRET =
  'whsec_(?:[A-Za-z0-9+/]{4}){8}(?:(?:[A-Za-z0-9+/]{4}){0,13}|(?:[A-Za-z0-9+/]{4}){0,12}[A-Za-z0-9+/]{3}=|(?:[A-Za-z0-9+/]{4}){0,13}[A-Za-z0-9+/]{2}==)';

/** What payment-service reads from its environment. */
export class PaymentServiceConfig extends ServiceConfig {
  @EnvInt(0, 65_535)
  override PORT = 8082;

  @EnvName()
  ORDER_EVENTS_TOPIC: string = ORDER_EVENTS.name;

  /** Another than it hears: a service does not hear itself. */
  @EnvName()
  @EnvOtherThan('ORDER_EVENTS_TOPIC')
  PAYMENT_EVENTS_TOPIC: string = PAYMENT_EVENTS.name;

  /**
   * The topic's number of partitions. When Kafka has a different number, nothing is published, because keys would lose their order.
   */
  @EnvInt(1, 9999)
  PAYMENT_EVENTS_PARTITIONS: number = PAYMENT_EVENTS.partitions;

  /** The Kafka consumer group, and the service's name in its inbox: renaming it handles everything again. */
  @EnvName()
  @NotEquals(WEBHOOKS, { message: `must not be ${WEBHOOKS}, as which the inbox knows the webhooks` })
  CONSUMER_GROUP = 'payment-service';

  /** How long a request waits for its payment; then it fails. */
  @EnvDuration(1000, 365 * 86_400_000)
  PAYMENT_TTL = 15 * 60_000;

  /** `manual`: operators and the provider's webhook tell what becomes of a payment. `simulated`: they settle by themselves. */
  @EnvOneOf(gateways)
  @EnvNotInProduction('simulated', 'it takes no money')
  PAYMENT_GATEWAY: (typeof gateways)[number] = 'manual';

  /** How long the simulated gateway takes for a call. After 30 s health calls a job stuck. */
  @EnvDuration(0, 20_000)
  SIMULATED_DELAY = 0;

  /** Which part of all payments the simulated gateway lets fail. */
  @EnvFraction()
  SIMULATED_FAILURE_RATE = 0;

  /** The same seed lets the same payments fail. */
  @EnvName()
  SIMULATED_SEED = 'twinbox';

  /**
   * What the provider's webhooks are signed with, as Standard Webhooks write it: `whsec_` and 24 to 64 bytes of base64. Several, with
   * spaces or commas between, while the provider rotates its secret. Webhooks are refused when it is not set.
   */
  @EnvOptionalSecret(
    new RegExp(`^${SECRET}(?:[\\s,]+${SECRET})*[\\s,]*$`),
    'must be whsec_ and 24 to 64 bytes in base64',
  )
  WEBHOOK_SECRET: string | undefined;
}
