import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { type System } from '../system/system.js';
import { injectFaults } from './faults.js';
import { type Fault, type LinkName } from './schedule.js';

const LINK: LinkName = 'order-service/1 → kafka-1';

it('a broker is cut off only after the fault of one of its links is over, and the other way round', async () => {
  const link = await FaultProxy.open(1);
  const system = { links: new Map([[LINK, link]]) } as Partial<System> as System;
  const planned: Fault[] = [
    { kind: 'link silent', target: LINK, atMs: 0, forMs: 20 },
    { kind: 'broker cut off', target: 'kafka-1', atMs: 0, forMs: 20 },
    { kind: 'link slow', target: LINK, atMs: 0, forMs: 20 },
  ];

  const lines: string[] = [];
  await injectFaults(system, planned, new AbortController().signal, (line) => lines.push(line.replace(/, for .*/, '')));

  await link.close();
  expect(lines).toEqual(
    ['link silent: ' + LINK, 'broker cut off: kafka-1', 'link slow: ' + LINK].flatMap((fault) => [
      fault,
      `end of ${fault}`,
    ]),
  );
});
