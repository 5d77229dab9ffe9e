import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVICES } from '@twinbox/migrations/services';
import ts from 'typescript';
import { built, builtApiKit, type ConfigClass } from '../built.js';
import { root } from '../checkout.js';
import { OperationalError } from '../errors.js';

interface Variable {
  readonly name: string;
  readonly meaning: string;
  readonly isRequired: boolean;
  readonly isDuration: boolean;
}

/** A class whose fields are environment variables, in source and as built. */
interface ConfigSource {
  readonly source: string;
  readonly className: string;
}

type Value = string | number | false | readonly string[] | undefined;

const COMMON: readonly ConfigSource[] = [
  { source: 'libs/api-kit/src/app/service-config.ts', className: 'ServiceConfig' },
  { source: 'libs/api-kit/src/app/limits-config.ts', className: 'LimitsConfig' },
  { source: 'libs/api-kit/src/app/kafka-config.ts', className: 'KafkaConfig' },
];
const OWN = SERVICES.map(({ name }): ConfigSource & { readonly name: string } => ({
  name,
  source: `apps/${name}/src/config.ts`,
  className: `${inPascalCase(name)}Config`,
}));

/** The console shares no class with the services. */
const CONSOLE: ConfigSource = { source: 'apps/console/server/config.ts', className: 'ConsoleConfig' };

/** The tables of environment variables, by the name of their section in docs/reference/configuration.md. */
export async function configurationTables(): Promise<Record<string, string>> {
  const common = (await Promise.all(COMMON.map(variablesOf))).flat();
  const own = await Promise.all(OWN.map(variablesOf));
  // PORT is declared in every class, because each service has a default of its own.
  const shared = (own[0] ?? []).filter((variable) =>
    own.every((variables) => variables.some((other) => isSame(variable, other))),
  );
  const all = [...common.filter(({ name }) => shared.every((variable) => variable.name !== name)), ...shared];
  const tables: Record<string, string> = { 'both services': await table(all, OWN) };
  for (const [n, service] of OWN.entries()) {
    const variables = (own[n] ?? []).filter((variable) => !shared.some((other) => isSame(variable, other)));
    tables[service.name] = await table(variables, [service]);
  }
  tables['console'] = await table(await variablesOf(CONSOLE), [CONSOLE]);
  return tables;
}

function inPascalCase(name: string): string {
  return name
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** A variable that means something else in each service is documented for each. */
function isSame(one: Variable, other: Variable): boolean {
  return one.name === other.name && one.meaning === other.meaning;
}

async function variablesOf({ source, className }: ConfigSource): Promise<Variable[]> {
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

async function table(variables: readonly Variable[], services: readonly ConfigSource[]): Promise<string> {
  const loaded = await Promise.all(services.map(load));
  const rows = variables.map((variable) => {
    const defaults = new Set(loaded.map(({ defaultOf }) => defaultOf(variable)));
    const allowed = loaded[0]?.allowed(variable.name) ?? '';
    return `| \`${variable.name}\` | ${[...defaults].join(', ')} | ${cell(allowed)} | ${cell(variable.meaning)} |`;
  });
  return ['| variable | default | value | meaning |', '| --- | --- | --- | --- |', ...rows, ''].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|');

/** The class as it runs: what it uses where a variable is not set, and what it says of a value that is not allowed. */
async function load({ source, className }: ConfigSource) {
  const path = source.replace('/src/', '/dist/').replace('/server/', '/dist/server/').replace(/\.ts$/, '.js');
  const { [className]: cls } = (await built(path)) as Record<string, new () => Readonly<Record<string, Value>>>;
  if (!cls) throw new OperationalError(`${path} has no ${className}`);
  const kit = await builtApiKit();
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

function problemOf(
  { loadConfig, ConfigError }: Awaited<ReturnType<typeof builtApiKit>>,
  cls: ConfigClass,
  name: string,
): string | undefined {
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
