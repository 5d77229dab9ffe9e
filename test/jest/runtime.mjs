import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import JestRuntime from 'jest-runtime';
import { loadFor, requireAnew } from './modules.mjs';

const require = createRequire(import.meta.url);

const MODULE = {
  supportsDynamicImport: true,
  supportsExportNamespaceFrom: true,
  supportsStaticESM: true,
  supportsTopLevelAwait: true,
};

/** The files with the source maps of everything that this worker has compiled, by the URL that stands in stack traces. */
const sourceMaps = new Map();

/**
 * Loads modules as Node does, and keeps them for the next test file of the worker. Jest's own runtime evaluates all of them again for each
 * file, which took about half of the processor time of all tests.
 */
export default class Runtime extends JestRuntime {
  constructor(config, environment, resolver, transformer, cacheFS, coverage, testPath, globalConfig) {
    super(config, environment, resolver, transformer, cacheFS, coverage, testPath, globalConfig);
    loadFor({
      globals: () => this.jestGlobals.cjsGlobals(testPath),
      transform: (path, url) => {
        const code = this.transformCache.transform(path, MODULE);
        sourceMaps.set(url, this.transformCache.getSourceMaps().get(path) ?? '');
        return code;
      },
    });
  }

  unstable_shouldLoadAsEsm() {
    return true;
  }

  async unstable_importModule(path) {
    await import(pathToFileURL(path).href);
  }

  requireModule(path) {
    return require(path);
  }

  /** Jest loads its test framework with this, once for each test file. */
  requireInternalModule(path) {
    return requireAnew(path);
  }

  setMock() {
    throw new Error('Modules cannot be mocked, because all test files of a worker share them (docs/adr/0045).');
  }

  setModuleMock() {
    this.setMock();
  }

  getSourceMaps() {
    return sourceMaps;
  }

  /** The global object is that of the worker, whose `process` must stay as it is. */
  installGetBuiltinModule() {}
}
