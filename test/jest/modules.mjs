import { existsSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url).href;
const JEST_GLOBALS = `${ROOT}@jest/globals`;
const CONDITION = '@twinbox/source';

/** The runtime of the test file that runs in this worker. */
let current;
/** Counts the test files of this worker. */
let files = 0;
/** The URLs of the packages that {@link resetLoggers} resets, as far as they were loaded. */
const loggers = { '@nestjs/common': undefined, 'nestjs-pino': undefined };

/**
 * From now on modules are loaded for a test file.
 *
 * @param runtime `transform` compiles the TypeScript file at a path, and `globals` returns what `@jest/globals` exports.
 */
export function loadFor(runtime) {
  current = runtime;
  files++;
}

/** @public Imported by the module that replaces `@jest/globals`. */
export const globalsOfCurrentFile = () => current.globals();

const isOwn = (url) => url?.startsWith(ROOT) && !url.includes('/node_modules/');

/** Returns the specifier of the TypeScript file that a relative import with the ending `.js` means, if there is one. */
function typescriptOf(specifier, parentURL) {
  if (!/^\.{1,2}\/.*\.js$/.test(specifier)) return undefined;
  const source = specifier.replace(/js$/, 'ts');
  return existsSync(new URL(source, parentURL)) ? source : undefined;
}

registerHooks({
  resolve(specifier, context, next) {
    // Other globals for each test file, so another URL for each of them.
    if (specifier === '@jest/globals') return { url: `${JEST_GLOBALS}?${files}`, format: 'module', shortCircuit: true };
    const { parentURL } = context;
    if (!isOwn(parentURL)) return next(specifier, context);
    const conditions = [CONDITION, ...context.conditions];
    const resolved = next(typescriptOf(specifier, parentURL) ?? specifier, { ...context, conditions });
    if (specifier in loggers) loggers[specifier] = resolved.url;
    return resolved;
  },
  load(url, context, next) {
    if (url.startsWith(JEST_GLOBALS)) {
      const source = `
        import { globalsOfCurrentFile } from ${JSON.stringify(import.meta.url)};
        export const { ${Object.keys(current.globals()).join(', ')} } = globalsOfCurrentFile();`;
      return { format: 'module', source, shortCircuit: true };
    }
    if (!isOwn(url) || !url.endsWith('.ts')) return next(url, context);
    return { format: 'module', source: current.transform(fileURLToPath(url), url), shortCircuit: true };
  },
});

const require = createRequire(import.meta.url);

/** Forgets how the test file made Nest and nestjs-pino log, both of which keep one logger for the process. */
export async function resetLoggers() {
  const { '@nestjs/common': nest, 'nestjs-pino': pino } = loggers;
  if (nest) {
    const { ConsoleLogger, Logger } = await import(nest);
    Logger.overrideLogger(new ConsoleLogger());
  }
  if (pino) (await import(new URL('PinoLogger.js', pino).href)).__resetOutOfContextForTests();
}

/** Loads a CommonJS module that must not keep anything from an earlier test file. */
export function requireAnew(path) {
  delete require.cache[path];
  return require(path);
}
