import { startChild } from '../support/child.js';
import { type Figure, ratio, spread } from '../support/figures.js';
import { type BareOptions, type BareResult } from '../processes/bare-producer.js';
import { createWorld, type Servers } from '../support/servers.js';
import { cpuFigures } from '../support/usage.js';
import { type Drain, drain } from './drain.js';

/** Compares how fast a relay drains a backlog with a producer that only sends the same messages. */
export async function relay(servers: Servers): Promise<Figure[]> {
  const messages = servers.quick ? 20_000 : 200_000;
  const rounds = servers.quick ? 1 : 5;
  const [withHeaders, without]: [number[], number[]] = [[], []];
  const drains: Drain[] = [];
  const beginRound = servers.rounds(rounds);
  for (let round = 0; round < rounds; round++) {
    beginRound();
    withHeaders.push(await bare(servers, messages, true));
    drains.push(await drain(servers, messages));
    without.push(await bare(servers, messages, false));
  }
  const relayed = drains.map(({ perSecond }) => perSecond);
  return [
    { what: 'bare kafkajs producer, our headers, messages/s', value: spread(withHeaders) },
    { what: 'bare kafkajs producer, no headers, messages/s', value: spread(without) },
    { what: `relay, backlog of ${messages} × 500 B, messages/s`, value: spread(relayed) },
    ...cpuFigures(drains.map(({ cpu }) => cpu)),
    { what: 'relay / bare producer with our headers', value: ratio(relayed, withHeaders), goal: '≥ 1.7' },
    { what: 'relay / bare producer without headers', value: ratio(relayed, without) },
  ];
}

async function bare(servers: Servers, messages: number, headers: boolean): Promise<number> {
  const world = await createWorld(servers);
  try {
    const options: BareOptions = {
      brokers: servers.brokers,
      secured: servers.secured,
      topic: world.name,
      messages,
      headers,
    };
    const producer = await startChild<BareResult>('bare-producer', options);
    return (await producer.result).perSecond;
  } finally {
    await world.close();
  }
}
