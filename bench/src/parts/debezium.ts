import { type Headers } from '../debezium/configuration.js';
import { drainBacklog, withConnector, withWorker } from '../debezium/drain.js';
import { DEBEZIUM_VERSION } from '../debezium/jars.js';
import { OutboxConnector } from '../debezium/outbox-connector.js';
import { type Figure, median, ratio, spread, whole } from '../support/figures.js';
import { peakMemoryMb } from '../support/peak-memory.js';
import { type Servers, type World } from '../support/servers.js';
import { cpuFigures, type CpuPerMessage } from '../support/usage.js';
import { type Drain, drain } from './drain.js';
import { type Latencies, latencyFigures, measureLatency, type Publisher, relayElsewhere } from './latency.js';

const HEADERS: readonly Headers[] = ['those of the relay', 'id only'];

/** How many backlogs a JVM drains before its rate is called warm. */
const WARM_UP = 2;

/** Compares the relay with a tuned Debezium, on the same rows, in turns. */
export async function debezium(servers: Servers): Promise<Figure[]> {
  const messages = servers.quick ? 100_000 : 200_000;
  const rounds = servers.quick ? 1 : 5;
  const latencyRounds = servers.quick ? 1 : 3;
  const beginRound = servers.rounds(rounds + latencyRounds + 1);
  // Not counted, because Kafka compiles its code in the first half minute after its start.
  beginRound('warming up Kafka');
  await drain(servers, messages);
  const relayed: Drain[] = [];
  const drained: Record<Headers, DebeziumDrain[]> = { 'id only': [], 'those of the relay': [] };
  for (let round = 0; round < rounds; round++) {
    beginRound('backlogs');
    relayed.push(await drain(servers, messages));
    for (const headers of HEADERS) drained[headers].push(await drainFreshAndWarm(servers, messages, headers));
  }
  const { ofRelay, ofDebezium } = await latencies(servers, messages, latencyRounds, () => beginRound('latency'));

  const rates = relayed.map(({ perSecond }) => perSecond);
  return [
    { what: `relay, backlog of ${messages} × 500 B, messages/s`, value: spread(rates) },
    ...cpuFigures(relayed.map(({ cpu }) => cpu)),
    { what: '  peak memory, MB', value: whole(median(relayed.map(({ peakMb }) => peakMb))) },
    ...HEADERS.flatMap((headers) => drainFigures(headers, drained[headers], rates)),
    ...latencyFigures('relay in another process', ofRelay),
    ...latencyFigures('Debezium', ofDebezium),
  ];
}

interface DebeziumDrain {
  /** On the first backlog of the JVM. */
  readonly fresh: number;
  /** On the last one. */
  readonly warm: number;
  /** While it was warm. */
  readonly cpu: CpuPerMessage | undefined;
  readonly peakMb: number;
}

/** Drains several backlogs in a new JVM. The last one runs in code that the JVM has compiled for the others. */
async function drainFreshAndWarm(servers: Servers, messages: number, headers: Headers): Promise<DebeziumDrain> {
  return withWorker(servers, (worker) =>
    withConnector(servers, worker, headers, async (of) => {
      const first = await drainBacklog(servers, of, messages);
      for (let backlog = 1; backlog < WARM_UP; backlog++) await drainBacklog(servers, of, messages);
      const last = await drainBacklog(servers, of, messages);
      const peakMb = (await peakMemoryMb(worker.pid)) ?? Number.NaN;
      return { fresh: first.perSecond, warm: last.perSecond, cpu: last.cpu, peakMb };
    }),
  );
}

/** Measures the relay and a JVM that has drained as many backlogs as one that is called warm, in turns. */
async function latencies(
  servers: Servers,
  messages: number,
  rounds: number,
  beginRound: () => void,
): Promise<{ ofRelay: Latencies; ofDebezium: Latencies }> {
  return withWorker(servers, async (worker) => {
    await withConnector(servers, worker, 'those of the relay', async (of) => {
      for (let backlog = 0; backlog < WARM_UP; backlog++) await drainBacklog(servers, of, messages);
    });
    const debeziumOf = async (world: World): Promise<Publisher> => {
      const connector = await OutboxConnector.prepare(worker, world, 'those of the relay');
      await connector.start();
      return { processes: { Debezium: [worker.pid] }, writerMayRelay: false, stop: () => connector.remove() };
    };
    const [ofRelay, ofDebezium]: [Latencies[], Latencies[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      beginRound();
      ofRelay.push(await measureLatency(servers, relayElsewhere));
      ofDebezium.push(await measureLatency(servers, debeziumOf));
    }
    return { ofRelay: together(ofRelay), ofDebezium: together(ofDebezium) };
  });
}

/** Joins the latencies of all rounds. The CPU time is that of the first round. */
function together(rounds: readonly Latencies[]): Latencies {
  const ms = rounds.flatMap((round) => round.ms);
  return { ms, commitMs: rounds.flatMap(({ commitMs }) => commitMs), cpu: rounds[0]?.cpu };
}

function drainFigures(headers: Headers, drains: readonly DebeziumDrain[], relayed: readonly number[]): Figure[] {
  const [fresh, warm] = [drains.map((each) => each.fresh), drains.map((each) => each.warm)];
  return [
    { what: `Debezium ${DEBEZIUM_VERSION}, headers: ${headers}, warm, messages/s`, value: spread(warm) },
    ...cpuFigures(drains.map(({ cpu }) => cpu)),
    { what: '  fresh', value: spread(fresh) },
    { what: '  peak memory, MB', value: whole(median(drains.map(({ peakMb }) => peakMb))) },
    { what: '  relay / Debezium, warm', value: ratio(relayed, warm), goal: '≥ 1.3' },
    { what: '  relay / Debezium, fresh', value: ratio(relayed, fresh) },
  ];
}
