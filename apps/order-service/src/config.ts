import {
  EnvDiffersFrom,
  EnvDuration,
  EnvFraction,
  EnvInt,
  EnvName,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalCertificates,
  EnvOptionalUrl,
  EnvPortOrOff,
  MayBeAbsent,
  ServiceConfig,
} from '@twinbox/api-kit';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { Matches } from 'class-validator';

export class OrderServiceConfig extends ServiceConfig {
  /** The port to listen on. 0 picks any free port. */
  @EnvInt(0, 65_535)
  override PORT = 8081;

  /** The port for gRPC on HOST. 0 picks any free port. With `off`, there is no gRPC. */
  @EnvPortOrOff()
  override GRPC_PORT: number | false = 50_051;

  /** The topic of order events; the same for both services and for `npm run topics`. */
  @EnvName()
  ORDER_EVENTS_TOPIC: string = ORDER_EVENTS.name;

  /** The topic's number of partitions. If Kafka has a different number, nothing is published, because keys would lose their order. */
  @EnvInt(1, 9999)
  ORDER_EVENTS_PARTITIONS: number = ORDER_EVENTS.partitions;

  /** The topic of payment events; the same for both services. It must differ from ORDER_EVENTS_TOPIC. */
  @EnvName()
  @EnvDiffersFrom('ORDER_EVENTS_TOPIC')
  PAYMENT_EVENTS_TOPIC: string = PAYMENT_EVENTS.name;

  /** The Kafka consumer group, and the service's name in its inbox. Renaming it handles all messages again. */
  @EnvName()
  CONSUMER_GROUP = 'order-service';

  /** An order that waits longer than this for its payment request is late. */
  @EnvDuration(1000, 7 * 24 * 3600 * 1000)
  PAYMENT_LATE_AFTER = 60_000;

  /** How many carts a customer may have at a time. */
  @EnvInt(1, 1_000_000)
  MAX_DRAFTS = 100;

  /** How many unpaid orders (PLACED or PAYMENT_PENDING) a customer may have at a time. */
  @EnvInt(1, 1_000_000)
  MAX_UNPAID_ORDERS = 20;

  /** How many pieces of all products the unpaid orders of a customer may hold. */
  @EnvInt(1, 1_000_000_000)
  MAX_HELD_PIECES = 10_000;

  /** The part of a product's stock that the unpaid orders of a customer may hold, without what others hold. 1 allows all of it. */
  @EnvFraction()
  MAX_HELD_SHARE = 0.5;

  /** Up to this number of pieces of a product may be held whatever MAX_HELD_SHARE is, so that the last ones can be sold. */
  @EnvInt(1, 1_000_000_000)
  HELD_SHARE_ABOVE = 10;

  /**
   * The consumer group for notifications. Renaming it sends them all again. Sharing CONSUMER_GROUP would assign partitions of each topic to
   * consumers that do not read it.
   */
  @EnvName()
  @EnvDiffersFrom('CONSUMER_GROUP')
  NOTIFICATIONS_GROUP = 'order-service-notifications';

  /** How long a stream ticket may wait for its first use. */
  @EnvDuration(1000, 3600 * 1000)
  STREAM_TICKET_USE_WITHIN = 60_000;

  /** How long a stream ticket resumes its stream, unless the access token of its user expires sooner. */
  @EnvDuration(1000, 7 * 24 * 3600 * 1000)
  STREAM_TICKET_TTL = 8 * 3600 * 1000;

  /** How many missed steps the streams of one user may be sent at a time, at each replica. */
  @EnvInt(1, 1_000_000)
  STREAM_BACKLOG = 10_000;

  /** How customers are notified: `log` writes a log line, `smtp` sends an e-mail. */
  @EnvOneOf(['log', 'smtp'])
  @EnvNotInProduction('log', 'customers would not be notified')
  NOTIFIER: 'log' | 'smtp' = 'log';

  /** The mail server, for NOTIFIER=smtp: `smtp://user:password@host:port`, or `smtps://…`. */
  @EnvOptionalUrl(['smtp:', 'smtps:'])
  @Matches(/^[^?]*$/, {
    message: 'must have no parameters, because they could switch off TLS. Use SMTP_TLS and SMTP_TLS_CA',
  })
  SMTP_URL = 'smtp://127.0.0.1:1025';

  /** `required` sends nothing without verified TLS: by STARTTLS, or from the start with `smtps://`. `optional` uses STARTTLS if offered. */
  @EnvOneOf(['optional', 'required'])
  @EnvNotInProduction('optional', 'mails and the password could be read on their way')
  SMTP_TLS: 'optional' | 'required' = 'optional';

  /** The authorities that may sign the mail server's certificate, in PEM format. Without it, the authorities that Node trusts. */
  @EnvOptionalCertificates()
  SMTP_TLS_CA: string | undefined;

  /** The sender of e-mails. */
  @Matches(/^([^<>\r\n]+ )?<?[^\s<>@]+@[^\s<>@]+>?$/, {
    message: 'must be an address such as Twinbox <orders@shop.example>',
  })
  MAIL_FROM = 'Twinbox <orders@twinbox.example>';

  /** Customers whose ids are not e-mail addresses are reached at `<X-User-Id>@<MAIL_DOMAIN>`. */
  @MayBeAbsent()
  @Matches(/^[a-z0-9.-]+$/i, { message: 'must be a domain such as customers.example' })
  MAIL_DOMAIN?: string;
}
