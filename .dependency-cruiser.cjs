/** The arrows of docs/architecture.md: contracts ← domain ← application ← adapters ← app module; libraries import no app. */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

module.exports = {
  forbidden: [
    rule(
      'libs-never-import-apps',
      'A library knows nothing of who uses it.',
      { path: '^libs/' },
      { path: '^(apps|bench|migrations|tools)/' },
    ),
    rule(
      'apps-never-import-each-other',
      'Services talk by messages.',
      { path: '^apps/([^/]+)/' },
      { path: '^apps/', pathNot: '^apps/$1/' },
    ),
    rule(
      'domain-is-pure',
      'Rules import contracts, the kernel and each other: no framework, no driver, no node built-in.',
      { path: '^apps/[^/]+/src/domain/', pathNot: '\\.spec\\.ts$' },
      { pathNot: ['^libs/(contracts|kernel)/', '^apps/[^/]+/src/domain/'] },
    ),
    rule(
      'application-knows-no-adapter',
      'Use cases name what they need; adapters provide it.',
      { path: '^apps/[^/]+/src/application/', pathNot: '\\.spec\\.ts$' },
      { path: '^apps/[^/]+/src/(adapters|app\\.module|main|service|config)' },
    ),
    rule(
      'adapters-know-no-module',
      'Only the app module knows every part.',
      { path: '^apps/[^/]+/src/adapters/' },
      { path: '^apps/[^/]+/src/(app\\.module|main|service)' },
    ),
    rule(
      'kernel-imports-nothing',
      'It is under everything.',
      { path: '^libs/kernel/', pathNot: '\\.spec\\.ts$' },
      { pathNot: '^libs/kernel/' },
    ),
    rule(
      'contracts-know-no-service',
      'They are what crosses a boundary.',
      { path: '^libs/contracts/' },
      { path: '^(libs|apps|bench|migrations|tools)/', pathNot: '^libs/(contracts|fields)/' },
    ),
    rule(
      'fields-know-nothing',
      'Contracts and the HTTP edge both rest on them.',
      { path: '^libs/fields/' },
      { path: '^(libs|apps|bench|migrations|tools)/', pathNot: '^libs/fields/' },
    ),
    rule(
      'messaging-stands-alone',
      'Other teams use it without the rest.',
      { path: '^libs/messaging/', pathNot: '\\.spec\\.ts$|/testing/' },
      { path: '^(libs|apps|bench|migrations|tools)/', pathNot: '^libs/messaging/' },
    ),
    rule(
      'one-file-knows-kafkajs',
      'Another Kafka client is one adapter: kafka.ts, with the patches of kafkajs beside it.',
      {
        path: '^(libs|apps)/',
        pathNot: ['^libs/messaging/src/kafka(js-mends|js-fetches)?\\.ts$', '\\.spec\\.ts$', '/testing/'],
      },
      { path: 'node_modules/kafkajs' },
    ),
    rule(
      'no-tests-in-products',
      'What ships does not need its tests.',
      { path: '^(apps|libs|migrations)/', pathNot: '\\.spec\\.ts$|/testing/|/test/' },
      { path: '\\.spec\\.ts$|^(bench|tools)/|/testing/|/test/' },
    ),
    rule('no-cycles', 'A cycle is one module in pieces.', {}, { circular: true }),
    rule('no-unresolvable', 'An import that leads nowhere.', {}, { couldNotResolve: true }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@twinbox/source', 'import', 'node', 'types', 'default'],
    },
  },
};
