import { type Figure, median, whole } from '../support/figures.js';
import { type Servers } from '../support/servers.js';
import { drain } from './drain.js';

/** Measures the peak memory of a relay process that drains a backlog. */
export async function memory(servers: Servers): Promise<Figure[]> {
  const messages = servers.quick ? 20_000 : 200_000;
  const peaks: number[] = [];
  const rounds = servers.quick ? 1 : 3;
  const beginRound = servers.rounds(rounds);
  for (let round = 0; round < rounds; round++) {
    beginRound();
    peaks.push((await drain(servers, messages)).peakMb);
  }
  return [{ what: `relay's peak memory, backlog of ${messages}, MB`, value: whole(median(peaks)), goal: '≤ 170' }];
}
