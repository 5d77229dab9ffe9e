/** Compiles like tsc: decorators with metadata, ES modules, and source maps for breakpoints. */
const swc = [
  '@swc/jest',
  {
    jsc: {
      target: 'es2024',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
      keepClassNames: true,
    },
    module: { type: 'es6' },
    sourceMaps: 'inline',
  },
];

const common = {
  rootDir: import.meta.dirname,
  // Both keep modules for the next test file of a worker.
  testEnvironment: '<rootDir>/test/jest/environment.mjs',
  runtime: '<rootDir>/test/jest/runtime.mjs',
  transform: { '\\.ts$': swc },
  modulePathIgnorePatterns: [
    '<rootDir>/(apps|libs)/[^/]+/(test/)?dist/',
    '<rootDir>/(migrations|tools)/dist/',
    '<rootDir>/\\.twinbox/',
  ],
};

const project = (displayName, testMatch, testPathIgnorePatterns = []) => ({
  ...common,
  displayName,
  testMatch: testMatch.map((pattern) => `<rootDir>/${pattern}`),
  testPathIgnorePatterns: ['/node_modules/', '/dist/', ...testPathIgnorePatterns],
});

export default {
  rootDir: import.meta.dirname,
  // Not in the temporary directory, because the test runner deletes that after each run.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  projects: [
    project(
      'unit',
      ['{apps,libs}/**/*.spec.ts', '{migrations,tools,test}/**/*.spec.ts'],
      ['\\.(int|e2e)\\.spec\\.ts$'],
    ),
    project('integration', ['{apps,libs}/**/*.int.spec.ts', '{migrations,tools}/**/*.int.spec.ts']),
    project('e2e', ['{test,apps}/**/*.e2e.spec.ts']),
  ],
  // Tests spend most of their time waiting for servers.
  maxWorkers: 4,
  // Also makes jest start a worker for a single file, whose modules would otherwise stay loaded in watch mode.
  workerIdleMemoryLimit: '1GB',
  testSequencer: '<rootDir>/test/sequencer.mjs',
  // Needed by the tests that start and break servers; unit tests take milliseconds.
  testTimeout: 120_000,
  coverageDirectory: '<rootDir>/coverage',
  collectCoverageFrom: [
    'apps/*/src/**/*.ts',
    'libs/*/src/**/*.ts',
    '!**/*.spec.ts',
    '!**/index.ts',
    '!**/main.ts',
    '!**/generated/**',
  ],
};
