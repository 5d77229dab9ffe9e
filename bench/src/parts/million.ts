import { type Figure, whole } from '../figures.js';
import { type Servers } from '../servers.js';
import { drain } from './drain.js';

/** Whether the last of very many messages costs what the first did (P7). */
export async function million(servers: Servers): Promise<Figure[]> {
  const messages = servers.quick ? 50_000 : 1_000_000;
  const { perSecond, lastOverFirst, peakMb } = await drain(servers, messages);
  return [
    { what: `relay, backlog of ${messages} × 500 B, messages/s`, value: whole(perSecond) },
    { what: '  rate of its last tenth over its first', value: lastOverFirst.toFixed(2), goal: 'about 1' },
    { what: '  peak memory, MB', value: whole(peakMb), goal: '≤ 200' },
  ];
}
