import { type Figure, whole } from '../support/figures.js';
import { type Servers } from '../support/servers.js';
import { drain } from './drain.js';

/** Measures whether the last of very many messages costs the same as the first (P7). */
export async function million(servers: Servers): Promise<Figure[]> {
  const messages = servers.quick ? 50_000 : 1_000_000;
  const { perSecond, lastOverFirst, peakMb } = await drain(servers, messages);
  return [
    { what: `relay, backlog of ${messages} × 500 B, messages/s`, value: whole(perSecond) },
    { what: '  rate of the last tenth / first tenth', value: lastOverFirst.toFixed(2), goal: 'about 1' },
    { what: '  peak memory, MB', value: whole(peakMb), goal: '≤ 170' },
  ];
}
