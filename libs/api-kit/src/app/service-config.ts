import { createPrivateKey } from 'node:crypto';
import { MayBeAbsent } from '@twinbox/fields';
import { ArrayNotEmpty, IsIn, IsNotEmpty, IsString, Matches, ValidateBy } from 'class-validator';
import { isHostName } from '../http/loopback.js';
import { roleMappingOf } from '../identity/token-claims.js';
import {
  EnvDuration,
  EnvDurationOrOff,
  EnvInt,
  EnvList,
  EnvOneOf,
  EnvOptionalCertificates,
  EnvOptionalPem,
  EnvOptionalUrl,
  EnvPortOrOff,
  MS,
} from './env.js';
import { LimitsConfig } from './limits-config.js';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
const logFormats = ['json', 'pretty', 'auto'] as const;
const authModes = ['dev', 'jwt'] as const;
const signatureAlgorithms = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA'.split(' ');

/**
 * The environment variables of every service. A service extends this class, gives `PORT` a default and adds its own variables. Each field
 * with a class-validator decorator is a variable of the same name, and the initial value of the field is its default.
 */
export class ServiceConfig extends LimitsConfig {
  /** The address to listen on. The default is loopback because `AUTH_MODE=dev` trusts every caller. */
  @IsString()
  @IsNotEmpty()
  HOST = '127.0.0.1';

  /** The port to listen on. 0 picks any free port. */
  @EnvInt(0, 65_535)
  PORT!: number;

  /**
   * The port for metrics and detailed health, without tokens, so only operators may reach it. They are no longer on PORT then. 0 picks any
   * free port. Unless it is set, they are on PORT, and AUTH_MODE=jwt requires a token with the role `operator`.
   */
  @MayBeAbsent()
  @EnvInt(0, 65_535)
  MANAGEMENT_PORT: number | undefined;

  /** The address of MANAGEMENT_PORT. The default is HOST. */
  @MayBeAbsent()
  @IsString()
  MANAGEMENT_HOST: string | undefined;

  /** The port for gRPC on HOST. 0 picks any free port. With `off`, there is no gRPC. */
  @EnvPortOrOff()
  GRPC_PORT: number | false = false;

  /** The certificate chain of gRPC in PEM format. With it and GRPC_TLS_KEY, gRPC is served with TLS only. */
  @EnvOptionalCertificates('the certificates of the server')
  GRPC_TLS_CERT: string | undefined;

  /** The private key that belongs to GRPC_TLS_CERT, in PEM format. */
  @EnvOptionalPem('a private key', (text) => void createPrivateKey(text))
  GRPC_TLS_KEY: string | undefined;

  /** `off` serves neither documentation (`/docs`, `/openapi.json`, `/docs/events`) nor reflection by gRPC. */
  @EnvOneOf(['on', 'off'])
  DOCS: 'on' | 'off' = 'on';

  /**
   * The database, with the role of the service: `postgres://orders:password@host:5432/database`. For TLS it ends with
   * `?sslmode=verify-full&sslrootcert=/path/to/ca.pem`; other modes than `verify-full` and `disable` are refused.
   */
  @ValidateBy({
    name: 'isPostgresUrl',
    validator: {
      validate: isPostgresUrl,
      defaultMessage: () => 'must be a URL such as postgres://user:password@127.0.0.1:5432/database',
    },
  })
  DATABASE_URL!: string;

  /** The origins whose web pages may call the service, such as `http://localhost:3000,https://shop.example`. None by default. */
  @EnvList()
  @Matches(/^https?:\/\/[^\s/,]+$/, { each: true, message: 'must be a list of origins such as http://localhost:3000' })
  CORS_ORIGINS: string[] = [];

  /** How long a client may take to send a request, both head and body. After that it gets a 408. */
  @EnvDuration(1000, 10 * MS.m)
  REQUEST_TIMEOUT = 30_000;

  /** How long a connection may be silent in the middle of a request or a response before it is closed. */
  @EnvDuration(1000, 60 * MS.m)
  CONNECTION_TIMEOUT = 60_000;

  /** How long an idle connection stays open. A proxy in front of the service must close its idle connections earlier. */
  @EnvDuration(1000, 60 * MS.m)
  KEEP_ALIVE_TIMEOUT = 72_000;

  /** How many connections may be open at a time. Each takes a file descriptor, and PostgreSQL and Kafka need some too. */
  @EnvInt(1, 1_000_000)
  MAX_CONNECTIONS = 2000;

  /** The least severe level that is logged. */
  @EnvOneOf(logLevels)
  LOG_LEVEL: (typeof logLevels)[number] = 'info';

  /** `auto` is `pretty` when stdout is a terminal, otherwise `json`. */
  @EnvOneOf(logFormats)
  LOG_FORMAT: (typeof logFormats)[number] = 'auto';

  /** `off` means that this process does not publish, because the relay runs as a separate process. */
  @EnvOneOf(['on', 'off'])
  RELAY: 'on' | 'off' = 'on';

  /**
   * `jwt` requires access tokens of an OpenID provider (OIDC_ISSUER, JWT_AUDIENCE). `dev` trusts the headers X-User-Id and X-Roles.
   * Therefore the service starts only on a loopback address or with NODE_ENV `development` or `test`, and never with `production`. It
   * answers only requests for a loopback host or one of ALLOWED_HOSTS.
   */
  @EnvOneOf(authModes)
  AUTH_MODE: (typeof authModes)[number] = 'dev';

  /** The issuer of the access tokens, exactly as in their claim `iss`. Required by AUTH_MODE=jwt. */
  @EnvOptionalUrl(['https:', 'http:'])
  OIDC_ISSUER: string | undefined;

  /** The address of the issuer's public keys. If it is not set, OIDC_ISSUER is asked for it (OpenID Connect Discovery). */
  @EnvOptionalUrl(['https:', 'http:'])
  JWT_JWKS_URL: string | undefined;

  /** The accepted values of the claim `aud`, separated by commas. Required by AUTH_MODE=jwt. */
  @EnvList()
  @IsNotEmpty({ each: true })
  JWT_AUDIENCE: string[] = [];

  /** The required `typ` of a token. Providers that do not follow RFC 9068 use `JWT`, which does not tell access tokens from ID tokens. */
  @Matches(/^[\w+.-]+$/, { message: 'must be a type such as at+jwt or JWT' })
  JWT_TYPE = 'at+jwt';

  /** The accepted signature algorithms, all of them asymmetric. */
  @EnvList()
  @ArrayNotEmpty({ message: `must be a list of ${signatureAlgorithms.join(', ')}` })
  @IsIn(signatureAlgorithms, { each: true, message: `must be a list of ${signatureAlgorithms.join(', ')}` })
  JWT_ALGORITHMS: string[] = ['RS256', 'PS256', 'ES256', 'EdDSA'];

  /** How far the clocks of the issuer and the service may differ. A token is accepted for this long before `nbf` and after `exp`. */
  @EnvDuration(0, 5 * MS.m)
  JWT_CLOCK_TOLERANCE = 30 * MS.s;

  /** The claim with the user id: a name, or a path such as `account.id`. */
  @IsNotEmpty()
  JWT_USER_CLAIM = 'sub';

  /** The claim with the roles, an array or text with spaces: a name, or a path such as `realm_access.roles`. */
  @IsNotEmpty()
  JWT_ROLES_CLAIM = 'roles';

  /** The provider's names for the roles `customer`, `operator` and `admin`: `shop-staff=operator,shop-admin=admin`. Others grant nothing. */
  @EnvList()
  @ValidateBy(
    {
      name: 'isRoleMapping',
      validator: {
        validate: (entry) => roleMappingOf(entry) !== undefined,
        defaultMessage: () => 'must be a list such as shop-staff=operator,shop-admin=admin',
      },
    },
    { each: true },
  )
  JWT_ROLE_MAP: string[] = ['customer=customer', 'operator=operator', 'admin=admin'];

  /** How often the public keys are loaded again. A key that the issuer withdraws is accepted until then. */
  @EnvDuration(1000, MS.d)
  JWKS_REFRESH = 10 * MS.m;

  /**
   * The shortest time between two loads of the keys because of tokens with an unknown key, and the longest between two attempts while the
   * keys cannot be loaded.
   */
  @EnvDuration(1000, MS.h)
  JWKS_COOLDOWN = 30 * MS.s;

  /**
   * The names and addresses, without a port, by which callers may reach the service in addition to the loopback ones. AUTH_MODE=dev rejects
   * requests for any other host.
   */
  @EnvList()
  @ValidateBy(
    {
      name: 'isHostName',
      validator: {
        validate: isHostName,
        defaultMessage: () => 'must be a list of names or addresses without ports, such as order-service,192.0.2.7',
      },
    },
    { each: true },
  )
  ALLOWED_HOSTS: string[] = [];

  /**
   * How long a message may wait unpublished before messaging is reported as down, no matter which process should publish it. `off` is for
   * outboxes that something other than the relay publishes, such as Debezium.
   */
  @EnvDurationOrOff(1000, 7 * MS.d)
  OUTBOX_OVERDUE_AFTER: number | false = 30 * MS.s;

  /** How long the response to a request with an `Idempotency-Key` is kept. */
  @EnvDuration(1000, 30 * MS.d)
  IDEMPOTENCY_KEY_TTL = 24 * MS.h;

  /** `development` or `test` lets `AUTH_MODE=dev` listen on an address that is not loopback. `production` rejects settings that are for development only. */
  @MayBeAbsent()
  @IsString()
  NODE_ENV: string | undefined;
}

function isPostgresUrl(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, pathname, host, searchParams } = new URL(value);
  // libpq names a Unix socket as postgres:///database?host=/directory
  const reachable = host !== '' || searchParams.has('host');
  return ['postgres:', 'postgresql:'].includes(protocol) && reachable && pathname.length > 1;
}
