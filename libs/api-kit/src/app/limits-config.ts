import { ValidateBy } from 'class-validator';
import { trustedProxies } from '../http/limits/client-address.js';
import { EnvDuration, EnvDurationOrOff, EnvRate, MS } from './env.js';
import { KafkaConfig } from './kafka-config.js';

/** The environment variables that limit what a client may use. */
export class LimitsConfig extends KafkaConfig {
  /**
   * The proxies whose `X-Forwarded-For` is believed, in requests and gRPC calls, as addresses and networks separated by commas, such as
   * `10.0.0.0/8,192.0.2.7`, or how many of them stand in front of the service. With `off`, the address of the connection is that of the
   * client.
   */
  @ValidateBy({
    name: 'isTrustProxy',
    validator: {
      validate: (value) => typeof value === 'string' && trustedProxies(value) !== undefined,
      defaultMessage: () =>
        'must be off, a number from 1 to 16, or a list of addresses and networks such as 10.0.0.0/8,192.0.2.7',
    },
  })
  TRUST_PROXY = 'off';

  /** How many GET and HEAD requests, and calls of gRPC methods named Get… or List…, a caller may make, without opened streams. */
  @EnvRate()
  RATE_LIMIT_READS = '6000/m';

  /** How many POST, PUT, PATCH and DELETE requests, and other gRPC calls, a caller may make. */
  @EnvRate()
  RATE_LIMIT_WRITES = '1200/m';

  /** How many streams of events, by HTTP or gRPC, a caller may open. A client that reconnects opens another one. */
  @EnvRate()
  RATE_LIMIT_STREAMS = '300/m';

  /** How many webhooks an address may send. */
  @EnvRate()
  RATE_LIMIT_WEBHOOKS = '6000/m';

  /** How many requests with credentials that are refused an address may make until it gets a 429 for them. Valid ones are not affected. */
  @EnvRate()
  RATE_LIMIT_REFUSED_LOGINS = '300/m';

  /** How long a client may take to read a response once it has begun. Streams of events may take longer. */
  @EnvDuration(100, 60 * MS.m)
  RESPONSE_TIMEOUT = 60_000;

  /** How late timers may run on average over a second. Beyond that, requests get a 503, and gRPC calls UNAVAILABLE, until it has caught up. */
  @EnvDurationOrOff(10, 60 * MS.s)
  MAX_EVENT_LOOP_DELAY: number | false = 250;
}
