import {
  addressProblemsOf,
  type ChecksItself,
  devProblemOf,
  EnvDuration,
  EnvInt,
  EnvList,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalUrl,
  isHostName,
  MayBeAbsent,
  MS,
  roleMappingOf,
} from '@twinbox/api-kit/edge';
import { IsNotEmpty, IsString, Matches, ValidateBy } from 'class-validator';

/** The environment variables of the console's server. Each field is a variable of the same name, and its initial value the default. */
export class ConsoleConfig implements ChecksItself {
  /** The address to listen on. The default is loopback because `AUTH_MODE=dev` lets anyone choose a user. */
  @IsString()
  @IsNotEmpty()
  HOST = '127.0.0.1';

  /** The port to listen on. 0 picks any free port. */
  @EnvInt(0, 65_535)
  PORT = 8080;

  /** The port for metrics. 0 picks any free port. Unless it is set, AUTH_MODE=dev serves them on PORT, and AUTH_MODE=jwt does not. */
  @MayBeAbsent()
  @EnvInt(0, 65_535)
  MANAGEMENT_PORT: number | undefined;

  /** The address of order-service. */
  @EnvOptionalUrl(['http:', 'https:'])
  ORDERS_URL = 'http://127.0.0.1:8081';

  /** The address of payment-service. */
  @EnvOptionalUrl(['http:', 'https:'])
  PAYMENTS_URL = 'http://127.0.0.1:8082';

  /**
   * The address at which browsers open the console, without a path. Required by AUTH_MODE=jwt. With https, the cookies are sent over TLS
   * only.
   */
  @EnvOptionalUrl(['http:', 'https:'])
  PUBLIC_URL: string | undefined;

  /**
   * Must be that of the services. `jwt` signs users in at the OpenID provider. `dev` lets anyone choose a demo user. Therefore the server
   * starts only on a loopback address or with NODE_ENV `development` or `test`, and never with `production`. It answers only requests for
   * a loopback host or one of ALLOWED_HOSTS.
   */
  @EnvOneOf(['dev', 'jwt'])
  AUTH_MODE: 'dev' | 'jwt' = 'dev';

  /** The names and addresses, without a port, that AUTH_MODE=dev accepts in addition to the loopback ones. */
  @EnvList()
  @ValidateBy(
    { name: 'isHostName', validator: { validate: isHostName, defaultMessage: () => 'must be a list of host names' } },
    { each: true },
  )
  ALLOWED_HOSTS: string[] = [];

  /** The OpenID provider, exactly as in its discovery document. Required by AUTH_MODE=jwt. */
  @EnvOptionalUrl(['https:', 'http:'])
  OIDC_ISSUER: string | undefined;

  /** Where the server reaches the provider, as `host:port`, if it is not the address in OIDC_ISSUER. Browsers do not use it. */
  @MayBeAbsent()
  @Matches(/^[\w.-]+:\d{1,5}$/, { message: 'must be a host and a port such as identity-provider:8090' })
  OIDC_CONNECT_TO: string | undefined;

  /** The console's client id at the provider. */
  @IsNotEmpty()
  OIDC_CLIENT_ID = 'twinbox-console';

  /** The client's secret. Without one, the console is a public client, which PKCE protects. */
  @MayBeAbsent()
  @IsNotEmpty()
  OIDC_CLIENT_SECRET: string | undefined;

  /** The scopes to request. `offline_access` asks for a refresh token; without one, a session ends with its access token. */
  @Matches(/^openid( [\w:./-]+)*$/, { message: 'must be scopes separated by spaces, the first of them openid' })
  OIDC_SCOPE = 'openid profile offline_access';

  /** The `prompt` of the sign-in. Some providers give no refresh token without `consent` (OpenID Connect Core, section 11). */
  @MayBeAbsent()
  @EnvOneOf(['login', 'consent', 'select_account'])
  OIDC_PROMPT: 'login' | 'consent' | 'select_account' | undefined;

  /** The resource for which the access token is requested (RFC 8707), for providers that need it to issue a JWT for the services. */
  @MayBeAbsent()
  @IsNotEmpty()
  OIDC_RESOURCE: string | undefined;

  /** The claim of the access token with the user id, as in the services. */
  @IsNotEmpty()
  JWT_USER_CLAIM = 'sub';

  /** The claim of the access token with the roles, as in the services. */
  @IsNotEmpty()
  JWT_ROLES_CLAIM = 'roles';

  /** The provider's names for the roles, as in the services: `shop-staff=operator,shop-admin=admin`. */
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

  /** How long a session may be idle before it ends. */
  @EnvDuration(1000, 8 * MS.h)
  SESSION_IDLE = 15 * MS.m;

  /** How long a session lasts at most. */
  @EnvDuration(1000, MS.d)
  SESSION_LIFETIME = 8 * MS.h;

  /** How many sessions this process keeps. A further one ends the session that has been idle for the longest time. */
  @EnvInt(1, 1_000_000)
  MAX_SESSIONS = 10_000;

  /** How many event streams a session may have open. */
  @EnvInt(1, 1000)
  MAX_STREAMS = 20;

  /** How many connections may be open at a time. */
  @EnvInt(1, 1_000_000)
  MAX_CONNECTIONS = 2000;

  /** How long a service may take to begin its answer. After that, the browser gets a 504. */
  @EnvDuration(100, 10 * MS.m)
  SERVICE_TIMEOUT = 30_000;

  /** `on` offers "place 50 orders", to fill a demo stack with life. */
  @EnvOneOf(['on', 'off'])
  @EnvNotInProduction('on', 'it places orders that nobody wants')
  DEMO: 'on' | 'off' = 'off';

  /** The least severe level that is logged. */
  @EnvOneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
  LOG_LEVEL: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' = 'info';

  /** `auto` is `pretty` when stdout is a terminal, otherwise `json`. */
  @EnvOneOf(['json', 'pretty', 'auto'])
  LOG_FORMAT: 'json' | 'pretty' | 'auto' = 'auto';

  /** `development` or `test` lets `AUTH_MODE=dev` listen on an address that is not loopback. `production` rejects settings that are for development only. */
  @MayBeAbsent()
  @IsString()
  NODE_ENV: string | undefined;

  problems(): string[] {
    const { AUTH_MODE, PUBLIC_URL, OIDC_ISSUER, PORT, MANAGEMENT_PORT } = this;
    const problems = addressProblemsOf({ PUBLIC_URL, ...(AUTH_MODE === 'jwt' && { OIDC_ISSUER }) }, this.NODE_ENV);
    if (PUBLIC_URL && URL.canParse(PUBLIC_URL) && new URL(PUBLIC_URL).pathname !== '/')
      problems.push(`PUBLIC_URL="${PUBLIC_URL}": it must not have a path, because the console is served at /.`);
    if (MANAGEMENT_PORT && MANAGEMENT_PORT === PORT)
      problems.push(`MANAGEMENT_PORT="${MANAGEMENT_PORT}": it must differ from PORT.`);
    if (AUTH_MODE === 'dev') return [...problems, devProblemOf(this) ?? []].flat();
    if (!OIDC_ISSUER)
      problems.push('OIDC_ISSUER is not set: AUTH_MODE="jwt" needs the provider at which users sign in.');
    if (!PUBLIC_URL)
      problems.push('PUBLIC_URL is not set: AUTH_MODE="jwt" needs the address to which the provider sends users back.');
    return problems;
  }
}
