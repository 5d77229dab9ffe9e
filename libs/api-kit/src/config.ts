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
import { isHostName, isLoopback } from './loopback.js';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
const logFormats = ['json', 'pretty', 'auto'] as const;

/** One line per problem: the variable, the value it has (never a secret), and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** A whole number in decimal digits, from `min` to `max`. `1e3` and `0x10` are refused: they are more likely slips. */
export function EnvInt(min: number, max: number): PropertyDecorator {
  const message = `must be a whole number from ${min} to ${max}`;
  return combine(
    Transform(({ value }) => (typeof value === 'string' && !/^-?\d+$/.test(value) ? Number.NaN : Number(value))),
    IsInt({ message }),
    Min(min, { message }),
    Max(max, { message }),
  );
}

/** One of `values`, spelled exactly so. */
export function EnvOneOf(values: readonly string[]): PropertyDecorator {
  return IsIn(values, { message: `must be ${listed(values)}` });
}

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time span such as `500ms`, `60s`, `15m`, `24h` or `7d`, in code in milliseconds, from `minMs` to `maxMs`. */
export function EnvDuration(minMs: number, maxMs: number): PropertyDecorator {
  const message = `must be ${spanBetween(minMs, maxMs)}`;
  return combine(
    Transform(({ value }) => (typeof value === 'string' ? milliseconds(value) : (value as unknown))),
    IsInt({ message }),
    Min(minMs, { message }),
    Max(maxMs, { message }),
  );
}

/** The same, or `off`, in code `false`. */
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
        defaultMessage: () => `must be off or ${spanBetween(minMs, maxMs)}`,
      },
    }),
  );
}

/** A part of a whole as a decimal number from 0 to 1: `0.25`. */
export function EnvFraction(): PropertyDecorator {
  const message = 'must be a number from 0 to 1, such as 0.25';
  return combine(
    Transform(({ value }) => (typeof value === 'string' && !/^\d+(\.\d+)?$/.test(value) ? Number.NaN : Number(value))),
    IsNumber({}, { message }),
    Min(0, { message }),
    Max(1, { message }),
  );
}

/** Text that no message shows, if it is set; `message` says what it must look like. Give it a name with SECRET, PASSWORD, TOKEN or KEY in it. */
export function EnvOptionalSecret(pattern: RegExp, message: string): PropertyDecorator {
  return combine(MayBeAbsent(), Matches(pattern, { message }));
}

/** A URL of one of these protocols (`smtp:`) with a host, if it is set. */
export function EnvOptionalUrl(protocols: readonly string[]): PropertyDecorator {
  return combine(
    MayBeAbsent(),
    ValidateBy({
      name: 'isUrlOf',
      validator: {
        validate: (value) => typeof value === 'string' && isUrlOf(protocols, URL.parse(value)),
        defaultMessage: () =>
          `must be a URL that begins with ${listed(protocols.map((protocol) => `${protocol}//`))} and names a host`,
      },
    }),
  );
}

/** A name of Kafka's: a topic or a consumer group. */
export function EnvName(): PropertyDecorator {
  return Matches(/^[\w.-]{1,249}$/, { message: 'must be 1 to 249 letters, digits, dots, underscores and hyphens' });
}

/** Another value than that of the variable `other`, the defaults of both counted in. The problem names the one that is set. */
export function EnvOtherThan(other: string): PropertyDecorator {
  return ValidateBy(
    {
      name: 'isOtherThan',
      validator: {
        validate: (value, args) => value !== (args?.object as Record<string, unknown> | undefined)?.[other],
        defaultMessage: () => `must be another than ${other}`,
      },
    },
    { context: { other } },
  );
}

/**
 * `value` is for development and tests only: `reason` says what goes wrong elsewhere. It is refused with NODE_ENV=production, also where
 * it is the default.
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
 * What every service reads from its environment. A service extends it, gives `PORT` its default and adds its own
 * variables: a field with a class-validator decorator is a variable of the same name, its initial value the default.
 */
export class ServiceConfig {
  /** The address to listen on. Loopback unless set, because `AUTH_MODE=dev` trusts every caller. */
  @IsString()
  @IsNotEmpty()
  HOST = '127.0.0.1';

  /** 0 takes any free port. */
  @EnvInt(0, 65_535)
  PORT!: number;

  @ValidateBy({
    name: 'isPostgresUrl',
    validator: {
      validate: isPostgresUrl,
      defaultMessage: () => 'must be a URL such as postgres://user:password@127.0.0.1:5432/database',
    },
  })
  DATABASE_URL!: string;

  @Transform(({ value }) => (typeof value === 'string' ? splitList(value) : value))
  @ArrayNotEmpty({ message: 'must be a list such as 127.0.0.1:9092,127.0.0.1:9094' })
  @Matches(/^(\[[\da-fA-F:.]+\]|[^\s:,/]+):\d{1,5}$/, {
    each: true,
    message: 'must be a list such as 127.0.0.1:9092,127.0.0.1:9094',
  })
  KAFKA_BROKERS!: string[];

  /** Web pages of these origins may call, `http://localhost:3000,https://shop.example`; none unless set. */
  @Transform(({ value }) => (typeof value === 'string' ? splitList(value) : value))
  @Matches(/^https?:\/\/[^\s/,]+$/, { each: true, message: 'must be a list of origins such as http://localhost:3000' })
  CORS_ORIGINS: string[] = [];

  /** How long a client may take to send a request, head and body; then it gets a 408. */
  @EnvDuration(1000, 10 * MS.m)
  REQUEST_TIMEOUT = 30_000;

  /** A connection on which nothing moves for this long in the middle of a request or of an answer is closed. */
  @EnvDuration(1000, 60 * MS.m)
  CONNECTION_TIMEOUT = 60_000;

  /** How long a connection without a request stays open. A proxy in front must close its idle connections earlier. */
  @EnvDuration(1000, 60 * MS.m)
  KEEP_ALIVE_TIMEOUT = 72_000;

  /** More connections at a time are refused: each takes a file descriptor, and PostgreSQL and Kafka need some, too. */
  @EnvInt(1, 1_000_000)
  MAX_CONNECTIONS = 2000;

  @EnvOneOf(logLevels)
  LOG_LEVEL: (typeof logLevels)[number] = 'info';

  /** `auto`: pretty when stdout is a terminal, else JSON. */
  @EnvOneOf(logFormats)
  LOG_FORMAT: (typeof logFormats)[number] = 'auto';

  /** `off`: this process publishes nothing, for relays run as processes of their own. */
  @EnvOneOf(['on', 'off'])
  RELAY: 'on' | 'off' = 'on';

  /**
   * `dev` trusts the headers X-User-Id and X-Roles. So the service starts only on a loopback address, or when NODE_ENV says
   * `development` or `test`, and never with `production`; and it answers only requests for a loopback name or one of ALLOWED_HOSTS.
   */
  @EnvOneOf(['dev'])
  AUTH_MODE = 'dev' as const;

  /**
   * Names and addresses, without a port, under which callers reach the service besides the loopback ones: AUTH_MODE=dev refuses
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
   * Messaging is reported as down while a message has waited unpublished for longer, whichever process should publish it. `off` where
   * something else than the relay publishes the outbox, such as Debezium.
   */
  @EnvDurationOrOff(1000, 7 * MS.d)
  OUTBOX_OVERDUE_AFTER: number | false = 30 * MS.s;

  /** How long the answer to a request with an `Idempotency-Key` is kept. */
  @EnvDuration(1000, 30 * MS.d)
  IDEMPOTENCY_KEY_TTL = 24 * MS.h;

  @MayBeAbsent()
  @IsString()
  NODE_ENV: string | undefined;
}

/**
 * Reads `cls` from `env`: a variable that is unset or empty takes the field's initial value.
 * @throws ConfigError with every problem at once, so that a deployment is put right in one go.
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
      return `${other}="${shown(other, given[other])}": it must be another than ${property}.`;
    const allowed = [...new Set(Object.values(constraints ?? {}))].join(', ');
    const value = given[property] ?? (config as unknown as Record<string, unknown>)[property];
    return typeof value === 'string'
      ? `${property}="${shown(property, value)}": it ${allowed}.`
      : `${property} is not set: it ${allowed}.`;
  });
  const tooOpen = devProblem(config);
  if (tooOpen) problems.push(tooOpen);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** What keeps AUTH_MODE=dev from starting: it lets every caller act as any user. */
function devProblem({ AUTH_MODE, NODE_ENV, HOST }: ServiceConfig): string | undefined {
  if (AUTH_MODE !== 'dev') return undefined;
  if (isProduction(NODE_ENV))
    return `AUTH_MODE="dev": it trusts every caller, so it must not run with NODE_ENV="${NODE_ENV}". Unset NODE_ENV, or choose another AUTH_MODE.`;
  if (NODE_ENV === 'development' || NODE_ENV === 'test' || isLoopback(HOST)) return undefined;
  return (
    `AUTH_MODE="dev": it trusts every caller, so it must not listen on HOST="${HOST}" while NODE_ENV is ` +
    `${NODE_ENV === undefined ? 'not set' : `"${NODE_ENV}"`}. Unset HOST, or set NODE_ENV=development on a network that nobody else reaches.`
  );
}

function nodeEnvOf(config: Partial<ServiceConfig> = {}): string | undefined {
  return config.NODE_ENV;
}

function isProduction(nodeEnv: string | undefined): boolean {
  return /^prod(uction)?$/i.test(nodeEnv ?? '');
}

// Every variable has a validation decorator, so the decorators are the list of variables: nothing else of the environment
// reaches the config.
function variablesOf(cls: new () => object): Set<string> {
  const metadata = getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false);
  return new Set(metadata.map(({ propertyName }) => propertyName));
}

function shown(name: string, value: string): string {
  // An idempotency key is no secret, and neither is how long one is kept.
  if (!/URL|SECRET|PASSWORD|TOKEN|(?<!IDEMPOTENCY_)KEY/.test(name)) return value;
  const url = name.includes('URL') && URL.canParse(value) ? new URL(value) : undefined;
  // In what is no URL with a host nobody knows where the password stands: none of it is shown.
  if (!url?.host) return '(not shown)';
  if (url.password) url.password = '***';
  for (const key of url.searchParams.keys()) if (/pass|secret|token|key/i.test(key)) url.searchParams.set(key, '***');
  return url.href;
}

function isPostgresUrl(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, pathname, host, searchParams } = new URL(value);
  // libpq's way to name a Unix socket is postgres:///database?host=/directory
  const reachable = host !== '' || searchParams.has('host');
  return ['postgres:', 'postgresql:'].includes(protocol) && reachable && pathname.length > 1;
}

// `smtp:mail` is a URL too, of a path.
function isUrlOf(protocols: readonly string[], url: URL | null): boolean {
  return url !== null && protocols.includes(url.protocol) && url.host !== '';
}

function milliseconds(value: string): number {
  const [, count, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value) ?? [];
  return unit === undefined ? Number.NaN : Number(count) * MS[unit as keyof typeof MS];
}

function spanBetween(minMs: number, maxMs: number): string {
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

function listed(values: readonly string[]): string {
  return values.length < 2 ? (values[0] ?? '') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function combine(...decorators: PropertyDecorator[]): PropertyDecorator {
  return (target, key) => {
    for (const decorate of decorators) decorate(target, key);
  };
}
