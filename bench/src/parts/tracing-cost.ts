import { type Figure, median } from '../support/figures.js';

const ROUNDS = 7;
const ORDERS = 20_000;
/** How often an order passes each place with a span, from the request to the notification. */
const CREATIONS = 6;
const SENDS = 4;
const BATCHES = 4;
const PROCESSED = 8;

/** The places with spans. They are internal to messaging, so the build is imported, without its types. */
interface Places {
  readonly traceCreations: (
    destination: object,
    rows: readonly { readonly id: string }[],
    insert: (rows: readonly object[]) => Promise<void>,
  ) => Promise<void>;
  readonly startSends: (messages: ReadonlyMap<string, readonly object[]>) => readonly object[];
  readonly endAfter: (spans: readonly object[], run: () => Promise<void>) => Promise<void>;
  readonly traceBatch: (group: string, messages: readonly object[], run: () => Promise<void>) => Promise<void>;
  readonly traceProcessing: (processed: () => object, run: () => Promise<void>) => Promise<void>;
}

/** Measures what the places with spans cost an order while no SDK is registered. */
export async function costWhileOff(): Promise<Figure[]> {
  const places = await placesOfMessaging();
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const bare = await cpuUsOf(withoutPlaces);
    rounds.push((await cpuUsOf(async () => withPlaces(places))) - bare);
  }
  // The first rounds run before the code is optimised.
  return [
    { what: 'CPU µs of tracing per order while it is off', value: median(rounds.slice(2)).toFixed(1), goal: '≤ 20' },
  ];
}

async function placesOfMessaging(): Promise<Places> {
  const names = ['creations', 'sends', 'end-after', 'processing'];
  const urls = names.map((name) => new URL(`../../../libs/messaging/dist/tracing/${name}.js`, import.meta.url).href);
  const modules = await Promise.all(urls.map(async (url) => (await import(url)) as object));
  return Object.assign({}, ...modules) as Places;
}

const ROWS = [{ id: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d', topic: 'order.events' }];
const BY_TOPIC = new Map([['order.events', ROWS]]);
const DESTINATION = { system: 'kafka', name: 'order.events' };

async function work(): Promise<void> {}

async function withPlaces(places: Places): Promise<void> {
  for (let n = 0; n < CREATIONS; n++) await places.traceCreations(DESTINATION, ROWS, work);
  for (let n = 0; n < SENDS; n++) await places.endAfter(places.startSends(BY_TOPIC), work);
  for (let n = 0; n < BATCHES; n++) await places.traceBatch('group', ROWS, work);
  for (let n = 0; n < PROCESSED; n++) await places.traceProcessing(() => DESTINATION, work);
}

async function withoutPlaces(): Promise<void> {
  for (let n = 0; n < CREATIONS + SENDS + BATCHES + PROCESSED; n++) await work();
}

async function cpuUsOf(order: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < ORDERS; n++) await order();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / ORDERS;
}
