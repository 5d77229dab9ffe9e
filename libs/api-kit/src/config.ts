import { plainToInstance, Transform } from 'class-transformer';
import {
  ArrayNotEmpty,
  getMetadataStorage,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsString,
  Matches,
  Max,
  Min,
  ValidateBy,
  validateSync,
} from 'class-validator';

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

/** A name of Kafka's: a topic or a consumer group. */
export function EnvName(): PropertyDecorator {
  return Matches(/^[\w.-]{1,249}$/, { message: 'must be 1 to 249 letters, digits, dots, underscores and hyphens' });
}

/**
 * What every service reads from its environment. A service extends it, gives `PORT` its default and adds its own
 * variables: a field with a class-validator decorator is a variable of the same name, its initial value the default.
 */
export class ServiceConfig {
  /** The address to listen on. Loopback unless set, for `AUTH_MODE=dev` believes whoever calls. */
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

  @EnvOneOf(logLevels)
  LOG_LEVEL: (typeof logLevels)[number] = 'info';

  /** `auto`: pretty when stdout is a terminal, else JSON. */
  @EnvOneOf(logFormats)
  LOG_FORMAT: (typeof logFormats)[number] = 'auto';

  /** `off`: this process publishes nothing, for relays run as processes of their own. */
  @EnvOneOf(['on', 'off'])
  RELAY: 'on' | 'off' = 'on';

  /** `dev` trusts the headers X-User-Id and X-Roles, so it refuses to start with NODE_ENV=production. */
  @EnvOneOf(['dev'])
  AUTH_MODE = 'dev' as const;

  @IsString()
  NODE_ENV = 'development';
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
  const problems = validateSync(config).map(({ property, constraints }) => {
    const allowed = [...new Set(Object.values(constraints ?? {}))].join(', ');
    return given[property] === undefined
      ? `${property} is not set: it ${allowed}.`
      : `${property}="${shown(property, given[property])}": it ${allowed}.`;
  });
  if (config.AUTH_MODE === 'dev' && config.NODE_ENV === 'production') {
    problems.push(
      'AUTH_MODE="dev": it trusts whoever calls, so it must not run with NODE_ENV="production". Unset NODE_ENV, or choose another AUTH_MODE.',
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

// Every variable has a validation decorator, so the decorators are the list of variables: nothing else of the environment
// reaches the config.
function variablesOf(cls: new () => object): Set<string> {
  const metadata = getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false);
  return new Set(metadata.map(({ propertyName }) => propertyName));
}

function shown(name: string, value: string): string {
  if (!/URL|SECRET|PASSWORD|TOKEN|KEY/.test(name)) return value;
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
