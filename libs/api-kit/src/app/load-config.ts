import { createPrivateKey, X509Certificate } from 'node:crypto';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, validateSync } from 'class-validator';
import { sslFileProblem, sslModeProblem } from '@twinbox/messaging/session-client';
import { isLoopback } from '../http/loopback.js';
import { isTamperProof } from '../identity/tamper-proof.js';
import { isProduction } from './env.js';
import { KafkaConfig } from './kafka-config.js';
import { kafkaProblemsOf } from './kafka-problems.js';
import { isSecret, readGiven, rememberFiles } from './secret-files.js';
import { ServiceConfig } from './service-config.js';

/** Thrown for an invalid configuration. Each problem is one line: the variable, its value (never a secret), and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/**
 * Reads the variables of `cls` from `env`. A variable that is unset or empty takes the initial value of its field.
 * @throws ConfigError with all problems at once, so that a deployment can be fixed in one go
 */
export function loadConfig<T extends object>(
  cls: new () => T,
  env: Readonly<Record<string, string | undefined>> = process.env,
): T {
  const { values: given, files, problems } = readGiven(variablesOf(cls), env);
  const config = plainToInstance(cls, given);
  rememberFiles(config, files);
  const invalid = validateSync(config).map(({ property, constraints, contexts }) => {
    const other = (contexts?.['differsFrom'] as { readonly other: string } | undefined)?.other;
    if (other !== undefined && given[property] === undefined && given[other] !== undefined)
      return `${other}="${redacted(other, given[other])}": it must differ from ${property}.`;
    const allowed = [...new Set(Object.values(constraints ?? {}))].join(', ');
    const value = given[property] ?? (config as unknown as Record<string, unknown>)[property];
    return typeof value === 'string'
      ? `${property}="${redacted(property, value)}": it ${allowed}.`
      : `${property} is not set: it ${allowed}.`;
  });
  problems.push(...invalid);
  if (config instanceof KafkaConfig) problems.push(...kafkaProblemsOf(config), ...databaseProblemsOf(config));
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0')
    problems.push(
      'NODE_TLS_REJECT_UNAUTHORIZED="0": it accepts any server. Unset it, and name the authority in NODE_EXTRA_CA_CERTS, KAFKA_SSL_CA or sslrootcert.',
    );
  if (checksItself(config)) problems.push(...config.problems());
  if (config instanceof ServiceConfig)
    problems.push(
      ...portProblemsOf(config),
      ...grpcProblemsOf(config),
      ...authProblemsOf(config),
      ...passwordProblemsOf(config),
    );
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** A configuration that reports combinations of variables that must not be used together. */
export interface ChecksItself {
  /** Returns one line for each problem, like {@link ConfigError}. Variables may have invalid values. */
  problems(): readonly string[];
}

function checksItself(config: object): config is ChecksItself {
  return 'problems' in config && typeof config.problems === 'function';
}

function grpcProblemsOf({ PORT, MANAGEMENT_PORT, GRPC_PORT, GRPC_TLS_CERT, GRPC_TLS_KEY }: ServiceConfig): string[] {
  const problems: string[] = [];
  // 0 picks a free port for each.
  const [other] = Object.entries({ PORT, MANAGEMENT_PORT }).find(([, port]) => GRPC_PORT && port === GRPC_PORT) ?? [];
  if (other !== undefined) problems.push(`GRPC_PORT="${GRPC_PORT}": it must differ from ${other}.`);
  if ((GRPC_TLS_CERT === undefined) !== (GRPC_TLS_KEY === undefined)) {
    const [set, unset] =
      GRPC_TLS_CERT === undefined ? ['GRPC_TLS_KEY', 'GRPC_TLS_CERT'] : ['GRPC_TLS_CERT', 'GRPC_TLS_KEY'];
    problems.push(`${unset} is not set: TLS needs it, because ${set} is set.`);
  } else if (GRPC_TLS_CERT !== undefined && GRPC_TLS_KEY !== undefined && !isPair(GRPC_TLS_CERT, GRPC_TLS_KEY))
    problems.push('GRPC_TLS_KEY is not the key of GRPC_TLS_CERT.');
  return problems;
}

function isPair(certificates: string, key: string): boolean {
  try {
    return new X509Certificate(certificates).checkPrivateKey(createPrivateKey(key));
  } catch {
    // Each is reported by its own rule.
    return true;
  }
}

function portProblemsOf({ PORT, MANAGEMENT_PORT, MANAGEMENT_HOST }: ServiceConfig): string[] {
  if (MANAGEMENT_PORT === undefined && MANAGEMENT_HOST !== undefined)
    return [`MANAGEMENT_HOST="${MANAGEMENT_HOST}": it has no effect without MANAGEMENT_PORT.`];
  // 0 picks a free port for each.
  return MANAGEMENT_PORT && MANAGEMENT_PORT === PORT
    ? [`MANAGEMENT_PORT="${MANAGEMENT_PORT}": it must differ from PORT.`]
    : [];
}

/** Returns the problem if the connection to the database would not be as secure as it looks. */
function databaseProblemsOf(config: KafkaConfig): string[] {
  const { DATABASE_URL: url } = config as Partial<ServiceConfig>;
  const problem = url === undefined ? undefined : (sslModeProblem(url) ?? sslFileProblem(url));
  return problem === undefined ? [] : [`DATABASE_URL: ${problem}.`];
}

function authProblemsOf(config: ServiceConfig): string[] {
  if (config.AUTH_MODE !== 'jwt') return [devProblemOf(config) ?? []].flat();
  const { OIDC_ISSUER, JWT_JWKS_URL, JWT_AUDIENCE, NODE_ENV } = config;
  const problems: string[] = [];
  if (!OIDC_ISSUER) problems.push('OIDC_ISSUER is not set: AUTH_MODE="jwt" needs the issuer of the tokens.');
  if (JWT_AUDIENCE.length === 0)
    problems.push('JWT_AUDIENCE is not set: AUTH_MODE="jwt" needs the audience of the tokens.');
  return [...problems, ...addressProblemsOf({ OIDC_ISSUER, JWT_JWKS_URL }, NODE_ENV)];
}

/** Returns the problems of the provider's addresses, whose answers decide who a caller is. */
export function addressProblemsOf(
  addresses: Readonly<Record<string, string | undefined>>,
  NODE_ENV: string | undefined,
): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(addresses)) {
    const url = URL.parse(value ?? '');
    if (url?.username || url?.password)
      problems.push(`${name}="${redacted(name, url.href)}": it must not contain a user or a password.`);
    if (isProduction(NODE_ENV) && url && !isTamperProof(url))
      problems.push(
        `${name}="${redacted(name, url.href)}": with NODE_ENV="${NODE_ENV}" it must begin with https://, because anyone on the network could replace the keys.`,
      );
  }
  return problems;
}

/** Returns the problem if AUTH_MODE=dev must not be used here, because it lets every caller act as any user. */
export function devProblemOf({
  AUTH_MODE,
  NODE_ENV,
  HOST,
}: Pick<ServiceConfig, 'AUTH_MODE' | 'NODE_ENV' | 'HOST'>): string | undefined {
  if (AUTH_MODE !== 'dev') return undefined;
  if (isProduction(NODE_ENV))
    return `AUTH_MODE="dev": it trusts every caller, so it must not run with NODE_ENV="${NODE_ENV}". Unset NODE_ENV or choose another AUTH_MODE.`;
  if (NODE_ENV === 'development' || NODE_ENV === 'test' || isLoopback(HOST)) return undefined;
  return (
    `AUTH_MODE="dev": it trusts every caller, so it must not listen on HOST="${HOST}" while NODE_ENV is ` +
    `${NODE_ENV === undefined ? 'not set' : `"${NODE_ENV}"`}. Unset HOST, or set NODE_ENV=development on a network that no one else can reach.`
  );
}

/** Returns the problem if the database has a demo password, which is the name of its user. */
function passwordProblemsOf({ NODE_ENV, DATABASE_URL }: ServiceConfig): string[] {
  if (!isProduction(NODE_ENV) || !hasDemoPassword(DATABASE_URL)) return [];
  const shown = redacted('DATABASE_URL', DATABASE_URL);
  return [`DATABASE_URL="${shown}": with NODE_ENV="${NODE_ENV}" the password must not be the name of the user.`];
}

function hasDemoPassword(databaseUrl = ''): boolean {
  const url = URL.parse(databaseUrl);
  if (!url) return false;
  // node-postgres prefers the parameters.
  const given = (name: 'user' | 'password', inAddress: string) => url.searchParams.get(name) || decoded(inAddress);
  const password = given('password', url.password);
  return password !== '' && password === given('user', url.username);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Every variable has a validation decorator, so the decorators list the variables. Nothing else in the environment reaches the config.
function variablesOf(cls: new () => object): Set<string> {
  const metadata = getMetadataStorage().getTargetValidationMetadatas(cls, '', false, false);
  return new Set(metadata.map(({ propertyName }) => propertyName));
}

function redacted(name: string, value: string): string {
  if (!isSecret(name)) return value;
  const url = name.includes('URL') && URL.canParse(value) ? new URL(value) : undefined;
  // Without a host there is no telling which part is the password, so none of the value is shown.
  if (!url?.host) return '(not shown)';
  if (url.password) url.password = '***';
  for (const key of url.searchParams.keys()) if (/pass|secret|token|key/i.test(key)) url.searchParams.set(key, '***');
  return url.href;
}
