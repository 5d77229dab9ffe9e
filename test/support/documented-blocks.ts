import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '@twinbox/tools';
import { type Block, blocksOf } from './blocks.js';

/** A fenced block and the document that it is in. */
export interface DocumentedBlock extends Block {
  readonly document: string;
}

/** Blocks that one test executes or compiles. */
interface Run {
  /** The file of the test, which gets the blocks from {@link blocksFor}. */
  readonly test: string;
  readonly selects: (block: DocumentedBlock) => boolean;
}

/** Blocks that no test executes. */
interface Exception {
  readonly reason: string;
  readonly selects: (block: DocumentedBlock) => boolean;
}

const README = 'README.md';
const TUTORIAL = 'docs/tutorial.md';
const HOW_TO = 'docs/how-to/README.md';
const OPERATE = 'docs/how-to/operate.md';
const COMMAND_LINE = 'docs/command-line.md';
const API = 'docs/api.md';
const GRPC = 'docs/grpc.md';
const EVENTS = 'docs/events.md';
const CLIENT = ['docs/client.md', 'libs/client/README.md'];
const LIBRARY = [
  'libs/messaging/README.md',
  ...readdirSync(join(root, 'libs/messaging/docs')).map((page) => `libs/messaging/docs/${page}`),
];

/** The documents whose blocks a test must execute or compile. */
export const DOCUMENTS: readonly string[] = [
  README,
  TUTORIAL,
  HOW_TO,
  OPERATE,
  COMMAND_LINE,
  API,
  GRPC,
  EVENTS,
  ...CLIENT,
  ...LIBRARY,
];

const isIn = (document: string, heading?: string) => (block: DocumentedBlock) =>
  block.document === document && (heading === undefined || block.heading === heading);

const RUN_IT = isIn(HOW_TO, 'Run it in other ways');
/** The first step of the example begins with "1. ". */
const isStep = ({ document, heading }: DocumentedBlock) => document === HOW_TO && /^\d\. /.test(heading);
const isCompose = ({ text }: DocumentedBlock) => text.includes('docker compose');

/** What tests execute, by a name that the test gives to {@link blocksFor}. */
export const RUNS = {
  'how to start': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => isIn(README, 'Start')(block) && block.text.startsWith('npm ci\n'),
  },
  'what a start prints': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => isIn(README, 'Start')(block) && block.info === 'text',
  },
  'the first requests': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => isIn(README, 'Start')(block) && block.text.startsWith('curl'),
  },
  'the layout': { test: 'test/documents.spec.ts', selects: isIn(README, 'Layout') },
  'the tutorial': { test: 'test/start.e2e.spec.ts', selects: isIn(TUTORIAL) },
  'other ways to start': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => RUN_IT(block) && block.text.endsWith(' npm start\n'),
  },
  'a start with access tokens': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => RUN_IT(block) && block.text === 'npm start -- --auth\n',
  },
  'a webhook secret': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => RUN_IT(block) && block.text.startsWith('node -p'),
  },
  containers: {
    test: 'test/documents.spec.ts',
    selects: (block) => [HOW_TO, COMMAND_LINE].includes(block.document) && isCompose(block),
  },
  'commands of operators': {
    test: 'apps/cli/test/services.int.spec.ts',
    selects: (block) => block.document === COMMAND_LINE && !isCompose(block),
  },
  'second replicas': {
    test: 'test/start.e2e.spec.ts',
    selects: isIn(HOW_TO, 'One service by itself, or a second replica'),
  },
  'a separate relay': { test: 'test/start.e2e.spec.ts', selects: isIn(OPERATE, 'Relays as separate processes') },
  'the contracts of events': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => isIn(EVENTS)(block) && block.text.startsWith('curl '),
  },
  'a consumer of events': {
    test: 'test/start.e2e.spec.ts',
    selects: (block) => isIn(EVENTS)(block) && block.text.startsWith('node '),
  },
  'commands of the REST API': { test: 'test/start.e2e.spec.ts', selects: isIn(API) },
  'moving offsets': { test: 'test/start.e2e.spec.ts', selects: isIn(HOW_TO, 'Read a topic again') },
  'live updates in a page': {
    test: 'apps/order-service/test/page.int.spec.ts',
    selects: isIn(HOW_TO, 'Live updates in a page'),
  },
  'commands of grpcurl': {
    test: 'apps/order-service/test/grpc-server.int.spec.ts',
    selects: isIn(GRPC, 'From the command line'),
  },
  'a gRPC client': { test: 'apps/order-service/test/grpc-server.int.spec.ts', selects: isIn(GRPC, 'From Node') },
  'code of the typed client': {
    test: 'test/client.e2e.spec.ts',
    selects: ({ document }) => CLIENT.includes(document),
  },
  'the example': {
    test: 'test/how-to.e2e.spec.ts',
    selects: (block) => isStep(block) && !block.text.startsWith('ORDER='),
  },
  'commands for operators': {
    test: 'test/runbooks.e2e.spec.ts',
    selects: (block) => block.document === OPERATE && block.text.includes('npm run twinbox -- '),
  },
  'queries for operators': {
    test: 'migrations/operate-queries.int.spec.ts',
    selects: (block) => block.document === OPERATE && block.text.startsWith('psql '),
  },
  'the contract step': {
    test: 'migrations/privileges.int.spec.ts',
    selects: (block) => block.document === OPERATE && block.text.startsWith('npm run migrate '),
  },
  'queries on the tables of the library': {
    test: 'migrations/operate-queries.int.spec.ts',
    selects: (block) => LIBRARY.includes(block.document) && block.info === 'sql',
  },
  'installing the library': {
    test: 'test/package.e2e.spec.ts',
    selects: (block) => LIBRARY.includes(block.document) && block.info === 'sh',
  },
  'code of the library': {
    test: 'test/package.e2e.spec.ts',
    selects: (block) => LIBRARY.includes(block.document) && block.info === 'ts',
  },
} as const satisfies Readonly<Record<string, Run>>;

/** The only blocks that no test executes. */
export const EXCEPTIONS: readonly Exception[] = [
  { reason: 'A diagram, which is not executed.', selects: ({ info }) => info === 'mermaid' },
  {
    reason:
      'It needs a second system, of the changed copy. The test of step 4 sends the same request, and an integration test of ' +
      'payment-service starts the consumer.',
    selects: (block) => isStep(block) && block.text.startsWith('ORDER='),
  },
  {
    reason: "A command of Kafka's, which npm does not install.",
    selects: (block) => block.document === HOW_TO && block.text.startsWith('kafka-topics.sh '),
  },
];

type Read = (document: string) => Promise<string>;

/** Returns the blocks of a run in the order of the documents. `read` returns the text of a document, by default of this checkout. */
export async function blocksFor(run: keyof typeof RUNS, read: Read = readDocument): Promise<DocumentedBlock[]> {
  const selects: Run['selects'] = RUNS[run].selects;
  return (await allBlocks(read)).filter(selects);
}

/** Returns all blocks of {@link DOCUMENTS}. */
export async function allBlocks(read: Read = readDocument): Promise<DocumentedBlock[]> {
  const blocks = async (document: string) => blocksOf(await read(document)).map((block) => ({ ...block, document }));
  return (await Promise.all(DOCUMENTS.map(blocks))).flat();
}

async function readDocument(document: string): Promise<string> {
  return readFile(join(root, document), 'utf8');
}
