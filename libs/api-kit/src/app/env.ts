import { X509Certificate } from 'node:crypto';
import { MayBeAbsent } from '@twinbox/fields';
import { Transform } from 'class-transformer';
import { IsIn, IsInt, IsNumber, Matches, Max, Min, ValidateBy } from 'class-validator';

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

/** Requires a port, where 0 picks any free one, or `off`. The field gets `false` for `off`. */
export function EnvPortOrOff(): PropertyDecorator {
  const isAllowed = (value: unknown) => value === false || (Number.isInteger(value) && Number(value) <= 65_535);
  return combine(
    Transform(({ value }) =>
      value === 'off' ? false : typeof value === 'string' && !/^\d+$/.test(value) ? Number.NaN : Number(value),
    ),
    ValidateBy({
      name: 'isPortOrOff',
      validator: { validate: isAllowed, defaultMessage: () => 'must be off or a whole number from 0 to 65535' },
    }),
  );
}

/** Requires one of `values`, spelled exactly like that. */
export function EnvOneOf(values: readonly string[]): PropertyDecorator {
  return IsIn(values, { message: `must be ${alternatives(values)}` });
}

/** The units of a duration in milliseconds. */
export const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

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

/** Requires a number of requests per second, minute or hour, such as `600/m`, or `off`. {@link rateOf} reads it. */
export function EnvRate(): PropertyDecorator {
  return Matches(RATE, { message: 'must be off or a number per s, m or h, such as 600/m' });
}

const RATE = /^(?:off|([1-9]\d{0,8})\/([smh]))$/;

/** Returns the number of requests and the time in which they may be made; undefined for `off`. */
export function rateOf(value: string): { readonly max: number; readonly windowMs: number } | undefined {
  const [, max, unit] = RATE.exec(value) ?? [];
  return unit === undefined ? undefined : { max: Number(max), windowMs: MS[unit as keyof typeof MS] };
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

/** Requires `what` in PEM format if the variable is set. `parse` throws if it is anything else. */
export function EnvOptionalPem(what: string, parse: (text: string) => void): PropertyDecorator {
  const isValid = (value: unknown) => {
    try {
      parse(String(value));
      return true;
    } catch {
      return false;
    }
  };
  const message = `must be ${what} in PEM format`;
  const validator = { validate: isValid, defaultMessage: () => message };
  return combine(MayBeAbsent(), ValidateBy({ name: 'isPem', validator }));
}

/** Requires certificates in PEM format if the variable is set. */
export function EnvOptionalCertificates(what = 'certificates'): PropertyDecorator {
  return EnvOptionalPem(what, (text) => void new X509Certificate(text));
}

/** Splits the value at commas. The list has no empty items. */
export function EnvList(): PropertyDecorator {
  return Transform(({ value }) => (typeof value === 'string' ? splitList(value) : (value as unknown)));
}

/** Requires a valid name for a Kafka topic or consumer group. */
export function EnvName(): PropertyDecorator {
  return Matches(/^[\w.-]{1,249}$/, { message: 'must be 1 to 249 letters, digits, dots, underscores and hyphens' });
}

/**
 * Requires a value that differs from that of the variable `other`. Defaults count as values. If only one of the two variables is set, the
 * problem names that one.
 */
export function EnvDiffersFrom(other: string): PropertyDecorator {
  return ValidateBy(
    {
      name: 'differsFrom',
      validator: {
        validate: (value, args) => value !== (args?.object as Record<string, unknown> | undefined)?.[other],
        defaultMessage: () => `must differ from ${other}`,
      },
    },
    { context: { other } },
  );
}

/**
 * Rejects `value`, alone or in a list, with NODE_ENV=production, even if it is the default, because it is for development and tests only.
 * `reason` says what would go wrong in production. `shown` stands for the value in the error if that is a secret.
 */
export function EnvNotInProduction(value: string, reason: string, shown = value): PropertyDecorator {
  return ValidateBy({
    name: 'isNotInProduction',
    validator: {
      validate: (given, args) =>
        !isProduction(nodeEnvOf(args?.object)) ||
        !String(given)
          .split(/[\s,]+/)
          .includes(value),
      defaultMessage: () => `must not be ${shown} with NODE_ENV="production", because ${reason}`,
    },
  });
}

function nodeEnvOf(config: { readonly NODE_ENV?: string | undefined } = {}): string | undefined {
  return config.NODE_ENV;
}

/** Whether this value of NODE_ENV means production. */
export function isProduction(nodeEnv: string | undefined): boolean {
  return /^prod(uction)?$/i.test(nodeEnv ?? '');
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
