import {
  EnvDiffersFrom,
  EnvDuration,
  EnvFraction,
  EnvInt,
  EnvName,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalSecret,
  EnvPortOrOff,
  ServiceConfig,
} from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { DEMO_WEBHOOK_SECRET } from '@twinbox/contracts/demo';
import { NotEquals } from 'class-validator';

/** The consumer name under which the inbox records the provider's webhooks. */
export const WEBHOOKS = 'payment-webhooks';

const gateways = ['manual', 'simulated'] as const;

/** At least eight groups of four base64 characters, which are 24 bytes, and at most 64 bytes, which end with `==`. */
const SECRET =
  'whsec_(?:[A-Za-z0-9+/]{4}){8}(?:(?:[A-Za-z0-9+/]{4}){0,13}|(?:[A-Za-z0-9+/]{4}){0,12}[A-Za-z0-9+/]{3}=|(?:[A-Za-z0-9+/]{4}){0,13}[A-Za-z0-9+/]{2}==)';

export class PaymentServiceConfig extends ServiceConfig {
  /** The port to listen on. 0 picks any free port. */
  @EnvInt(0, 65_535)
  override PORT = 8082;

  /** The port for gRPC on HOST. 0 picks any free port. With `off`, there is no gRPC. */
  @EnvPortOrOff()
  override GRPC_PORT: number | false = 50_052;

  /** The topic of order events; the same for both services and for `npm run topics`. */
  @EnvName()
  ORDER_EVENTS_TOPIC: string = ORDER_EVENTS.name;

  /** The topic of payment events; the same for both services. It must differ from ORDER_EVENTS_TOPIC. */
  @EnvName()
  @EnvDiffersFrom('ORDER_EVENTS_TOPIC')
  PAYMENT_EVENTS_TOPIC: string = PAYMENT_EVENTS.name;

  /** The topic's number of partitions. If Kafka has a different number, nothing is published, because keys would lose their order. */
  @EnvInt(1, 9999)
  PAYMENT_EVENTS_PARTITIONS: number = PAYMENT_EVENTS.partitions;

  /** The Kafka consumer group, and the service's name in its inbox. After a rename, all messages are processed again. It must differ from `payment-webhooks`. */
  @EnvName()
  @NotEquals(WEBHOOKS, { message: `must differ from ${WEBHOOKS}, the name of the webhooks in the inbox` })
  CONSUMER_GROUP = 'payment-service';

  /** How long a request waits for its payment before it fails. */
  @EnvDuration(1000, 365 * 86_400_000)
  PAYMENT_TTL = 15 * 60_000;

  /** `manual`: operators and the provider's webhook report results. `simulated`: automatic payments. */
  @EnvOneOf(gateways)
  @EnvNotInProduction('simulated', 'it takes no money')
  PAYMENT_GATEWAY: (typeof gateways)[number] = 'manual';

  /** How long a call to the simulated gateway takes. Health reports a job as stuck after 30 s. */
  @EnvDuration(0, 20_000)
  SIMULATED_DELAY = 0;

  /** The share of payments that the simulated gateway declines, from 0 to 1. */
  @EnvFraction()
  SIMULATED_FAILURE_RATE = 0;

  /** The same seed declines the same payments. */
  @EnvName()
  SIMULATED_SEED = 'twinbox';

  /**
   * The secret that signs the provider's webhooks, in the format of Standard Webhooks: `whsec_` followed by 24 to 64 bytes in base64. There
   * may be several, separated by spaces or commas, while the provider rotates its secret. Without a secret, webhooks are refused.
   */
  @EnvOptionalSecret(
    new RegExp(`^${SECRET}(?:[\\s,]+${SECRET})*[\\s,]*$`),
    'must be whsec_ followed by 24 to 64 bytes in base64',
  )
  @EnvNotInProduction(DEMO_WEBHOOK_SECRET, 'everyone knows it', 'the one of the demo')
  WEBHOOK_SECRET: string | undefined;
}
