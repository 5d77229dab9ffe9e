import { MayBeAbsent } from '@twinbox/fields';
import { plainToInstance, Transform } from 'class-transformer';
import {
  ArrayNotEmpty,
  getMetadataStorage,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsNumber,
  IsString,
  Matches,
  Max,
  Min,
  ValidateBy,
  validateSync,
} from 'class-validator';
import { isHostName, isLoopback } from '../http/loopback.js';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
const logFormats = ['json', 'pretty', 'auto'] as const;

/** Thrown for an invalid configuration. Each problem is one line: the variable, its value (never a secret), and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** Requires a whole number in decimal digits, from `min` to `max`. Rejects `1e3` and `0x10`, which are more likely typing errors. */
export function EnvInt(min: number, max: number): PropertyDecorator {
  const message = `must be a whole number from ${min} to ${max}`;
  return combine(
    Transform(({ value }) => (typeof value === 'string' && !/^-?\d+$/.test(value) ? Number.NaN : Number(value))),
    IsInt({ message }),
    Min(min, { message }),
    Max(max, { message }),
  );
}

/** Requires one of `values`, spelled exactly like that. */
export function EnvOneOf(values: readonly string[]): PropertyDecorator {
  return IsIn(values, { message: `must be ${alternatives(values)}` });
}

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Requires a duration such as `500ms`, `60s`, `15m`, `24h` or `7d`, from `minMs` to `maxMs`. The field gets it in milliseconds. */
export function EnvDuration(minMs: number, maxMs: number): PropertyDecorator {
  const message = `must be ${durationRange(minMs, maxMs)}`;
  return combine(
    Transform(({ value }) => (typeof value === 'string' ? milliseconds(value) : (value as unknown))),
    IsInt({ message }),
    Min(minMs, { message }),
    Max(maxMs, { message }),
  );
}

/** Requires a duration like {@link EnvDuration}, or `off`. The field gets `false` for `off`. */
export function EnvDurationOrOff(minMs: number, maxMs: number): PropertyDecorator {
  const isAllowed = (value: unknown) =>
    value === false || (Number.isInteger(value) && Number(value) >= minMs && Number(value) <= maxMs);
  return combine(
    Transform(({ value }) =>
      value === 'off' ? false : typeof value === 'string' ? milliseconds(value) : (value as unknown),
    ),
    ValidateBy({
      name: 'isDurationOrOff',
      validator: {
        validate: isAllowed,
        defaultMessage: () => `must be off or ${durationRange(minMs, maxMs)}`,
      },
    }),
  );
}

/** Requires a fraction as a decimal number from 0 to 1, such as `0.25`. */
export function EnvFraction(): PropertyDecorator {
  const message = 'must be a number from 0 to 1, such as 0.25';
  return combine(
    Transform(({ value }) => (typeof value === 'string' && !/^\d+(\.\d+)?$/.test(value) ? Number.NaN : Number(value))),
    IsNumber({}, { message }),
    Min(0, { message }),
    Max(1, { message }),
  );
}

/**
 * Requires a secret to match `pattern` if it is set. `message` describes the pattern. Error messages hide the value because of the name of
 * the variable, which must contain SECRET, PASSWORD, TOKEN or KEY.
 */
export function EnvOptionalSecret(pattern: RegExp, message: string): PropertyDecorator {
  return combine(MayBeAbsent(), Matches(pattern, { message }));
}

/** Requires a URL with a host and one of these protocols (such as `smtp:`) if the variable is set. */
export function EnvOptionalUrl(protocols: readonly string[]): PropertyDecorator {
  return combine(
    MayBeAbsent(),
    ValidateBy({
      name: 'isUrlOf',
      validator: {
        validate: (value) => typeof value === 'string' && isUrlOf(protocols, URL.parse(value)),
        defaultMessage: () =>
          `must be a URL that begins with ${alternatives(protocols.map((protocol) => `${protocol}//`))} and names a host`,
      },
    }),
  );
}

/** Requires a valid name for a Kafka topic or consumer group. */
export function EnvName(): PropertyDecorator {
  return Matches(/^[\w.-]{1,249}$/, { message: 'must be 1 to 249 letters, digits, dots, underscores and hyphens' });
}

/**
 * Requires a value that differs from that of the variable `other`. Defaults count as values. If only one of the two variables is set, the
 * problem names that one.
 */
export function EnvOtherThan(other: string): PropertyDecorator {
  return ValidateBy(
    {
      name: 'isOtherThan',
      validator: {
        validate: (value, args) => value !== (args?.object as Record<string, unknown> | undefined)?.[other],
        defaultMessage: () => `must differ from ${other}`,
      },
    },
    { context: { other } },
  );
}

/**
 * Rejects `value` with NODE_ENV=production, even if it is the default, because it is for development and tests only. `reason` says what
 * would go wrong in production.
 */
export function EnvNotInProduction(value: string, reason: string): PropertyDecorator {
  return ValidateBy({
    name: 'isNotInProduction',
    validator: {
      validate: (given, args) => given !== value || !isProduction(nodeEnvOf(args?.object)),
      defaultMessage: () => `must not be ${value} with NODE_ENV="production", because ${reason}`,
    },
  });
}

/**
 * The environment variables of every service. A service extends this class, gives `PORT` a default and adds its own variables. Each field
 * with a class-validator decorator is a variable of the same name, and the initial value of the field is its default.
 */
export class ServiceConfig {
  /** The address to listen on. The default is loopback because `AUTH_MODE=dev` trusts every caller. */
  @IsString()
  @IsNotEmpty()
  HOST = '127.0.0.1';

  /** The port to listen on. 0 picks any free port. */
  @EnvInt(0, 65_535)
  PORT!: number;

  /** The database, with the role of the service: `postgres://orders:password@host:5432/database`. */
  @ValidateBy({
    name: 'isPostgresUrl',
    validator: {
      validate: isPostgresUrl,
      defaultMessage: () => 'must be a URL such as postgres://user:password@127.0.0.1:5432/database',
    },
  })
  DATABASE_URL!: string;

  /** The Kafka brokers as `host:port`, separated by commas. */
  @Transform(({ value }) => (typeof value === 'string' ? splitList(value) : value))
  @ArrayNotEmpty({ message: 'must be a list such as 127.0.0.1:9092,127.0.0.1:9094' })
  @Matches(/^(\[[\da-fA-F:.]+\]|[^\s:,/]+):\d{1,5}$/, {
    each: true,
    message: 'must be a list such as 127.0.0.1:9092,127.0.0.1:9094',
  })
  KAFKA_BROKERS!: string[];

  /** The origins whose web pages may call the service, such as `http://localhost:3000,https://shop.example`. None by default. */
  @Transform(({ value }) => (typeof value === 'string' ? splitList(value) : value))
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
   * `dev` trusts the headers X-User-Id and X-Roles. Therefore the service starts only on a loopback address or with NODE_ENV `development`
   * or `test`, and never with `production`. It answers only requests for a loopback host or one of ALLOWED_HOSTS.
   */
  @EnvOneOf(['dev'])
  AUTH_MODE = 'dev' as const;

  /**
   * The names and addresses, without a port, by which callers may reach the service in addition to the loopback ones. AUTH_MODE=dev rejects
   * requests for any other host.
   */
  @Transform(({ value }) => (typeof value === 'string' ? splitList(value) : value))
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

/**
 * Reads the variables of `cls` from `env`. A variable that is unset or empty takes the initial value of its field.
 * @throws ConfigError with all problems at once, so that a deployment can be fixed in one go
 */
export function loadConfig<T extends ServiceConfig>(
  cls: new () => T,
  env: Readonly<Record<string, string | undefined>> = process.env,
): T {
  const given: Record<string, string> = {};
  for (const name of variablesOf(cls)) {
    const value = env[name]?.trim();
    if (value) given[name] = value;
  }

  const config = plainToInstance(cls, given);
  const problems = validateSync(config).map(({ property, constraints, contexts }) => {
    const other = (contexts?.['isOtherThan'] as { readonly other: string } | undefined)?.other;
    if (other !== undefined && given[property] === undefined && given[other] !== undefined)
      return `${other}="${redacted(other, given[other])}": it must differ from ${property}.`;
    const allowed = [...new Set(Object.values(constraints ?? {}))].join(', ');
    const value = given[property] ?? (config as unknown as Record<string, unknown>)[property];
    return typeof value === 'string'
      ? `${property}="${redacted(property, value)}": it ${allowed}.`
      : `${property} is not set: it ${allowed}.`;
  });
  const authProblem = authProblemOf(config);
  if (authProblem) problems.push(authProblem);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** Returns the problem if AUTH_MODE=dev must not be used here, because it lets every caller act as any user. */
function authProblemOf({ AUTH_MODE, NODE_ENV, HOST }: ServiceConfig): string | undefined {
  if (AUTH_MODE !== 'dev') return undefined;
  if (isProduction(NODE_ENV))
    return `AUTH_MODE="dev": it trusts every caller, so it must not run with NODE_ENV="${NODE_ENV}". Unset NODE_ENV or choose another AUTH_MODE.`;
  if (NODE_ENV === 'development' || NODE_ENV === 'test' || isLoopback(HOST)) return undefined;
  return (
    `AUTH_MODE="dev": it trusts every caller, so it must not listen on HOST="${HOST}" while NODE_ENV is ` +
    `${NODE_ENV === undefined ? 'not set' : `"${NODE_ENV}"`}. Unset HOST, or set NODE_ENV=development on a network that no one else can reach.`
  );
}

function nodeEnvOf(config: Partial<ServiceConfig> = {}): string | undefined {
  return config.NODE_ENV;
}

function isProduction(nodeEnv: string | undefined): boolean {
  return /^prod(uction)?$/i.test(nodeEnv ?? '');
}

// Every variable has a validation decorator, so the decorators list the variables. Nothing else in the environment reaches the config.
function variablesOf(cls: new () => object): Set<string> {
  const metadata = getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false);
  return new Set(metadata.map(({ propertyName }) => propertyName));
}

function redacted(name: string, value: string): string {
  // Neither an idempotency key nor its lifetime is secret.
  if (!/URL|SECRET|PASSWORD|TOKEN|(?<!IDEMPOTENCY_)KEY/.test(name)) return value;
  const url = name.includes('URL') && URL.canParse(value) ? new URL(value) : undefined;
  // Without a host there is no telling which part is the password, so none of the value is shown.
  if (!url?.host) return '(not shown)';
  if (url.password) url.password = '***';
  for (const key of url.searchParams.keys()) if (/pass|secret|token|key/i.test(key)) url.searchParams.set(key, '***');
  return url.href;
}

function isPostgresUrl(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, pathname, host, searchParams } = new URL(value);
  // libpq names a Unix socket as postgres:///database?host=/directory
  const reachable = host !== '' || searchParams.has('host');
  return ['postgres:', 'postgresql:'].includes(protocol) && reachable && pathname.length > 1;
}

// `smtp:mail` is a valid URL too, but it has only a path.
function isUrlOf(protocols: readonly string[], url: URL | null): boolean {
  return url !== null && protocols.includes(url.protocol) && url.host !== '';
}

function milliseconds(value: string): number {
  const [, count, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value) ?? [];
  return unit === undefined ? Number.NaN : Number(count) * MS[unit as keyof typeof MS];
}

function durationRange(minMs: number, maxMs: number): string {
  return `a whole number of ms, s, m, h or d, such as 15m, from ${duration(minMs)} to ${duration(maxMs)}`;
}

function duration(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => ms > 0 && ms % MS[name] === 0) ?? 'ms';
  return `${ms / MS[unit]}${unit}`;
}

function splitList(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function alternatives(values: readonly string[]): string {
  return values.length < 2 ? (values[0] ?? '') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function combine(...decorators: PropertyDecorator[]): PropertyDecorator {
  return (target, key) => {
    for (const decorate of decorators) decorate(target, key);
  };
}
