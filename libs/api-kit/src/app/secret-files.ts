import { readFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import type { Secret } from '@twinbox/messaging/session-client';
import { validateSync } from 'class-validator';

/** Names of variables whose values must not be shown. Neither an idempotency key nor its lifetime is secret. */
const SECRET = /URL|SECRET|PASSWORD|TOKEN|(?<!IDEMPOTENCY_)KEY|KAFKA_SSL_|SMTP_TLS_CA|GRPC_TLS_/;

/** Whether the variable is secret, or a certificate. Then its value is not shown, and `<name>_FILE` may name a file that contains it. */
export function isSecret(name: string): boolean {
  return SECRET.test(name);
}

/** The variables that are set, and the files that they were read from. */
interface Given {
  readonly values: Record<string, string>;
  readonly files: ReadonlyMap<string, string>;
  readonly problems: string[];
}

/** Reads the variables from the environment, or from the files that it names. A variable that is unset or empty is left out. */
export function readGiven(names: Iterable<string>, env: Readonly<Record<string, string | undefined>>): Given {
  const values: Record<string, string> = {};
  const files = new Map<string, string>();
  const problems: string[] = [];
  for (const name of names) {
    const value = env[name]?.trim();
    const path = isSecret(name) ? env[`${name}_FILE`]?.trim() : undefined;
    if (value) values[name] = value;
    if (!path) continue;
    if (value) problems.push(`${name}_FILE="${path}": ${name} is set too. Unset one of them.`);
    try {
      values[name] = contentOf(path);
      files.set(name, path);
    } catch (error) {
      problems.push(`${name}_FILE="${path}": ${(error as Error).message}.`);
    }
  }
  return { values, files, problems };
}

/** @throws with a reason that does not contain the secret */
function contentOf(path: string): string {
  let content: string;
  try {
    content = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new Error(`it cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  if (content === '') throw new Error('it is empty');
  return content;
}

const filesOf = new WeakMap<object, ReadonlyMap<string, string>>();
const secretsOf = new WeakMap<object, Map<string, Secret>>();

/** Records which variables of a configuration were read from files. */
export function rememberFiles(config: object, files: ReadonlyMap<string, string>): void {
  filesOf.set(config, files);
}

/**
 * Returns the value of a variable as a secret. If it was read from a file, the file is read again for each use, so that a new password
 * takes effect without a restart. While the file cannot be read or its content is not valid, the last value counts.
 */
export function secretOf<C extends object>(config: C, name: keyof C & string): Secret {
  const path = filesOf.get(config)?.get(name);
  if (path === undefined) return String(config[name]);
  // One for all that use the variable, so that a problem is logged once.
  const secrets = secretsOf.get(config) ?? new Map<string, Secret>();
  secretsOf.set(config, secrets);
  const known = secrets.get(name);
  if (known !== undefined) return known;
  const secret = secretIn(path, config, name);
  secrets.set(name, secret);
  return secret;
}

/** Like {@link secretOf}, for a variable that may be unset. */
export function optionalSecretOf<C extends object>(config: C, name: keyof C & string): Secret | undefined {
  return config[name] === undefined ? undefined : secretOf(config, name);
}

function secretIn(path: string, config: object, name: string): Secret {
  const logger = new Logger('Secrets');
  let last = String((config as Record<string, unknown>)[name]);
  let problem: string | undefined;
  return () => {
    try {
      const content = contentOf(path);
      if (content !== last) checkContent(config, name, content);
      last = content;
      problem = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== problem) logger.warn(`${name}_FILE="${path}": ${message}. The last value stays in use.`);
      problem = message;
    }
    return last;
  };
}

/** @throws with a reason that does not contain the secret */
function checkContent(config: object, name: string, content: string): void {
  const copy: object = Object.assign(Object.create(Object.getPrototypeOf(config) as object), config, {
    [name]: content,
  });
  const invalid = validateSync(copy).find(({ property }) => property === name);
  if (invalid) throw new Error(`it ${Object.values(invalid.constraints ?? {}).join(', ')}`);
}
