/** The dependency rules of docs/architecture.md: contracts ← domain ← application ← adapters ← app module; libraries never import apps. */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const MESSAGING = '^libs/messaging/src/';

/** The folders of messaging, each with the folders that it may import. All may import the files of MESSAGING_COMMON. */
const MESSAGING_FOLDERS = {
  tracing: [],
  message: ['tracing'],
  postgres: [],
  log: ['postgres'],
  kafka: ['message'],
  operations: ['message', 'postgres'],
  outbox: ['message', 'postgres', 'tracing'],
  poll: ['log', 'operations', 'postgres'],
  relay: ['kafka', 'log', 'message', 'operations', 'poll', 'postgres', 'tracing'],
  metrics: ['kafka', 'log', 'message', 'operations', 'postgres', 'relay'],
  inbox: ['kafka', 'message', 'metrics', 'operations', 'poll', 'postgres', 'tracing'],
  jobs: ['message', 'metrics', 'operations', 'poll', 'postgres', 'tracing'],
  'dead-letters': ['jobs', 'message', 'operations', 'poll', 'postgres'],
  'stored-operations': ['dead-letters', 'message', 'operations', 'poll', 'postgres'],
  inspection: ['log', 'message', 'operations', 'postgres'],
  overview: ['jobs', 'kafka', 'log', 'metrics', 'operations', 'postgres'],
  pauses: ['jobs', 'message', 'operations', 'postgres'],
  replay: ['kafka', 'log', 'message', 'operations', 'poll', 'postgres', 'relay', 'stored-operations'],
  testing: ['kafka', 'message', 'postgres'],
};

const MESSAGING_COMMON = '(errors|kafka-security|messaging-options|secret|waiting)\\.ts$';

const messagingFolders = Object.entries(MESSAGING_FOLDERS).map(([folder, others]) =>
  rule(
    `messaging-${folder}`,
    others.length > 0 ? `It may import only ${others.join(', ')} and itself.` : 'It may import only itself.',
    { path: `${MESSAGING}${folder}/`, pathNot: '\\.spec\\.ts$' },
    {
      path: MESSAGING,
      pathNot: [`${MESSAGING}(${[folder, ...others].join('|')})/`, `${MESSAGING}${MESSAGING_COMMON}`],
    },
  ),
);

module.exports = {
  forbidden: [
    rule(
      'libs-never-import-apps',
      'A library must not depend on its users. The test kit of messaging may use the servers and proxies of the tools.',
      { path: '^libs/', pathNot: '^libs/messaging/test/' },
      { path: '^(apps|bench|migrations|tools)/' },
    ),
    rule(
      'apps-never-import-each-other',
      'Services communicate through messages only.',
      { path: '^apps/([^/]+)/' },
      { path: '^apps/', pathNot: '^apps/$1/' },
    ),
    rule(
      'domain-is-pure',
      'Domain rules import only contracts, the kernel and each other: no framework, no driver, no Node built-in.',
      { path: '^apps/[^/]+/src/domain/', pathNot: '\\.spec\\.ts$' },
      { pathNot: ['^libs/(contracts|kernel)/', '^apps/[^/]+/src/domain/'] },
    ),
    rule(
      'application-knows-no-adapter',
      'Use cases declare what they need; adapters implement it.',
      { path: '^apps/[^/]+/src/application/', pathNot: '\\.spec\\.ts$' },
      { path: '^apps/[^/]+/src/(adapters|app\\.module|main|service|config)' },
    ),
    rule(
      'adapters-know-no-module',
      'Only the app module may depend on every part.',
      { path: '^apps/[^/]+/src/adapters/' },
      { path: '^apps/[^/]+/src/(app\\.module|main|service)' },
    ),
    rule(
      'kernel-imports-nothing',
      'Everything else builds on the kernel.',
      { path: '^libs/kernel/', pathNot: '\\.spec\\.ts$' },
      { pathNot: '^libs/kernel/' },
    ),
    rule(
      'client-stands-alone',
      'It runs in browsers, without the rest of the repository and without any package.',
      { path: '^libs/client/src/', pathNot: '\\.spec\\.ts$' },
      { pathNot: '^libs/client/src/' },
    ),
    rule(
      'console-pages-know-the-client-only',
      'The pages run in browsers. They reach the services through the typed client, and share no code with the server.',
      { path: '^apps/console/web/', pathNot: '\\.spec\\.tsx?$' },
      { path: '^(apps|bench|libs|migrations|test|tools)/', pathNot: '^(apps/console/web|libs/client)/' },
    ),
    rule(
      'console-server-knows-no-page',
      'The server only serves the built pages.',
      { path: '^apps/console/server/' },
      { path: '^apps/console/web/' },
    ),
    rule(
      'contracts-know-no-service',
      'Contracts are shared by all services and belong to none.',
      { path: '^libs/contracts/' },
      { path: '^(libs|apps|bench|migrations|tools)/', pathNot: '^libs/(contracts|fields)/' },
    ),
    rule(
      'fields-know-nothing',
      'Both the contracts and the HTTP edge build on the fields.',
      { path: '^libs/fields/' },
      { path: '^(libs|apps|bench|migrations|tools)/', pathNot: '^libs/fields/' },
    ),
    rule(
      'messaging-stands-alone',
      'Other teams use this library without the rest of the repository.',
      { path: '^libs/messaging/', pathNot: '\\.spec\\.ts$|^libs/messaging/test/' },
      { path: '^(libs|apps|bench|migrations|tools)/', pathNot: '^libs/messaging/' },
    ),
    ...messagingFolders,
    rule(
      'messaging-common-files',
      'All folders of messaging may import these files, so they must not import the folders. The options name the contracts.',
      { path: `${MESSAGING}${MESSAGING_COMMON}` },
      { path: MESSAGING, pathNot: [`${MESSAGING}message/topic\\.ts$`, `${MESSAGING}${MESSAGING_COMMON}`] },
    ),
    rule(
      'one-folder-knows-kafkajs',
      'Replacing the Kafka client must affect only one folder.',
      { path: '^(libs|apps)/', pathNot: ['^libs/messaging/src/kafka/', '\\.spec\\.ts$', '/testing/', '/test/'] },
      { path: 'node_modules/kafkajs' },
    ),
    rule(
      'no-tests-in-products',
      'Shipped code must not depend on tests.',
      { path: '^(apps|libs|migrations)/', pathNot: '\\.spec\\.ts$|/test/' },
      { path: '\\.spec\\.ts$|^(bench|tools)/|/test/' },
    ),
    rule(
      'no-test-kit-in-products',
      'The test kit of messaging is for tests only.',
      { path: '^(apps|libs|migrations)/', pathNot: '\\.spec\\.ts$|/testing/|/test/' },
      { path: '/testing/' },
    ),
    rule(
      'provisioning-stands-alone',
      'The image has this folder of the tools only.',
      { path: '^tools/src/provisioning/', pathNot: '\\.spec\\.ts$' },
      { path: '^(tools|bench|test)/', pathNot: '^tools/src/provisioning/' },
    ),
    rule('no-cycles', 'Modules in a cycle are really one module.', { pathNot: '/generated/' }, { circular: true }),
    rule('no-unresolvable', 'The import cannot be resolved.', {}, { couldNotResolve: true }),
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
