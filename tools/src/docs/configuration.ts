import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from '../checkout.js';
import { OperationalError } from '../errors.js';

interface Variable {
  readonly name: string;
  readonly meaning: string;
  readonly isRequired: boolean;
  readonly isDuration: boolean;
}

/** A class whose fields are environment variables, in source and as built. */
interface ConfigClass {
  readonly source: string;
  readonly className: string;
}

type Value = string | number | false | readonly string[] | undefined;

/** What is needed of the built `@twinbox/api-kit`, which this workspace does not depend on. */
interface ApiKit {
  readonly loadConfig: (cls: new () => object, env: Readonly<Record<string, string>>) => unknown;
  readonly ConfigError: new () => Error & { readonly problems: readonly string[] };
}

const COMMON: ConfigClass = { source: 'libs/api-kit/src/config.ts', className: 'ServiceConfig' };
const ORDERS: ConfigClass = { source: 'apps/order-service/src/config.ts', className: 'OrderServiceConfig' };
const PAYMENTS: ConfigClass = { source: 'apps/payment-service/src/config.ts', className: 'PaymentServiceConfig' };

/** The tables of environment variables, by the name of their section in docs/reference/configuration.md. */
export async function configurationTables(): Promise<Record<string, string>> {
  const common = await variablesOf(COMMON);
  const [orders, payments] = await Promise.all([ORDERS, PAYMENTS].map(variablesOf));
  const shared = new Set(
    orders?.filter(({ name }) => payments?.some((other) => other.name === name)).map(({ name }) => name),
  );
  const overridden = (variable: Variable) => shared.has(variable.name);
  const both = [...common.filter((variable) => !overridden(variable)), ...(orders ?? []).filter(overridden)];
  const own = (variables: readonly Variable[] = []) => variables.filter((variable) => !overridden(variable));
  return {
    'both services': await table(both, [ORDERS, PAYMENTS]),
    'order-service': await table(own(orders), [ORDERS]),
    'payment-service': await table(own(payments), [PAYMENTS]),
  };
}

async function variablesOf({ source, className }: ConfigClass): Promise<Variable[]> {
  const path = join(root, source);
  const file = ts.createSourceFile(path, await readFile(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const found = file.statements.find((node) => ts.isClassDeclaration(node) && node.name?.text === className);
  if (!found || !ts.isClassDeclaration(found)) throw new OperationalError(`${source} has no class ${className}`);
  return found.members.filter(ts.isPropertyDeclaration).map((field) => variableOf(field, source));
}

function variableOf(field: ts.PropertyDeclaration, source: string): Variable {
  const name = field.name.getText();
  const [comment] = ts.getJSDocCommentsAndTags(field);
  const meaning = comment && ts.getTextOfJSDocComment(comment.comment)?.replaceAll(/\s+/g, ' ').trim();
  if (!meaning)
    throw new OperationalError(
      `${source}: ${name} has no docstring, which the documentation of the variable is taken from`,
    );
  const decorators = (ts.getDecorators(field) ?? []).map(({ expression }) => expression.getText());
  return {
    name,
    meaning,
    isRequired: field.exclamationToken !== undefined && !field.initializer,
    isDuration: decorators.some((text) => text.startsWith('EnvDuration')),
  };
}

async function table(variables: readonly Variable[], services: readonly ConfigClass[]): Promise<string> {
  const built = await Promise.all(services.map(load));
  const rows = variables.map((variable) => {
    const defaults = new Set(built.map(({ defaultOf }) => defaultOf(variable)));
    const allowed = built[0]?.allowed(variable.name) ?? '';
    return `| \`${variable.name}\` | ${[...defaults].join(', ')} | ${cell(allowed)} | ${cell(variable.meaning)} |`;
  });
  return ['| variable | default | value | meaning |', '| --- | --- | --- | --- |', ...rows, ''].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|');

/** The class as it runs: what it uses where a variable is not set, and what it says of a value that is not allowed. */
async function load({ source, className }: ConfigClass) {
  const built = pathToFileURL(join(root, source.replace('/src/', '/dist/').replace(/\.ts$/, '.js')));
  const kit = (await import(String(pathToFileURL(join(root, 'libs/api-kit/dist/index.js'))))) as ApiKit;
  const { [className]: cls } = (await import(String(built))) as Record<
    string,
    new () => Readonly<Record<string, Value>>
  >;
  if (!cls) throw new OperationalError(`${built.pathname} has no ${className}`);
  const defaults = new cls();
  return {
    defaultOf: ({ name, isRequired, isDuration }: Variable) =>
      isRequired && defaults[name] === undefined ? 'required' : shown(defaults[name], isDuration),
    allowed(name: string): string {
      const problem = problemOf(kit, cls, name);
      return /: it (?:must be )?(.*)\.$/.exec(problem ?? '')?.[1] ?? 'text';
    },
  };
}

/** A value that no variable with a rule allows. */
const NONSENSE = '\u0000';

function problemOf({ loadConfig, ConfigError }: ApiKit, cls: new () => object, name: string): string | undefined {
  try {
    loadConfig(cls, { [name]: NONSENSE });
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.find((line) => line.startsWith(`${name}=`));
    throw error;
  }
}

function shown(value: Value, isDuration: boolean): string {
  if (value === undefined || (typeof value === 'object' && value.length === 0)) return 'none';
  return `\`${isDuration && typeof value === 'number' ? duration(value) : String(value)}\``;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** In the largest unit of which there are several: 24h rather than 1d. */
function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, length]) => ms % length === 0 && ms / length > 1) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
