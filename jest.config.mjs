/** Compiles like tsc does: decorators with their metadata, ES modules, breakpoints in the sources. */
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
  testEnvironment: 'node',
  // @twinbox/* are tested from their sources, so a test never runs against a stale build.
  testEnvironmentOptions: { customExportConditions: ['@twinbox/source', 'node', 'node-addons'] },
  transform: { '\\.ts$': swc },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: [
    '<rootDir>/(apps|libs)/[^/]+/dist/',
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
  // Not in the temporary directory: the runner gives the tests one of their own and deletes it.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  projects: [
    project(
      'unit',
      ['{apps,libs}/**/*.spec.ts', '{migrations,tools,test}/**/*.spec.ts'],
      ['\\.(int|e2e)\\.spec\\.ts$'],
    ),
    project('integration', ['{apps,libs}/**/*.int.spec.ts', '{migrations,tools}/**/*.int.spec.ts']),
    project('e2e', ['test/**/*.e2e.spec.ts']),
  ],
  // Most of the time tests wait for servers.
  maxWorkers: 3,
  // For the tests that start and break servers; unit tests take milliseconds.
  testTimeout: 120_000,
  coverageDirectory: '<rootDir>/coverage',
  collectCoverageFrom: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts', '!**/*.spec.ts', '!**/index.ts', '!**/main.ts'],
};
