import { CLUSTER_FAULTS, exclusionsOf, FAULT_KINDS, linksTo, planFaults, serviceOf, setupFor } from './schedule.js';

const SERVERS = ['postgres', 'kafka'] as const;

it('a seed determines the schedule', () => {
  expect(planFaults(7, 600_000)).toEqual(planFaults(7, 600_000));
  expect(planFaults(7, 600_000)).not.toEqual(planFaults(8, 600_000));
});

it('a longer run begins with the same faults as a shorter one', () => {
  const short = planFaults(7, 30_000);

  expect(planFaults(7, 60_000).slice(0, short.length)).toEqual(short);
});

it('two minutes include every kind of fault, a kill of each server, and overlapping faults', () => {
  const faults = planFaults(1, 120_000);

  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
  for (const server of SERVERS)
    expect(faults).toContainEqual(expect.objectContaining({ kind: 'server killed', target: server }));
  expect(faults.some(({ atMs, forMs }, index) => atMs + forMs > (faults[index + 1]?.atMs ?? Infinity))).toBe(true);
});

it('half a minute includes at least six kinds of faults, whatever the seed', () => {
  const kinds = Array.from({ length: 50 }, (_, seed) => new Set(planFaults(seed, 30_000).map(({ kind }) => kind)));

  expect(Math.min(...kinds.map(({ size }) => size))).toBeGreaterThanOrEqual(6);
});

it('a pause of a service is longer than the relay lease of 4 s', () => {
  const pauses = planFaults(1, 600_000).filter(({ kind }) => kind === 'service paused');

  expect(Math.min(...pauses.map(({ forMs }) => forMs))).toBeGreaterThan(4000);
});

it('a server has time to restart before its next fault', () => {
  for (const server of SERVERS) {
    const ofServer = planFaults(1, 600_000).filter(({ target }) => target === server);

    const rests = ofServer.slice(1).map(({ atMs }, index) => atMs - ofServer[index]!.atMs - ofServer[index]!.forMs);
    expect(Math.min(...rests)).toBeGreaterThanOrEqual(10_000);
  }
});

it('three minutes with three brokers include every kind of fault, and each broker is hit', () => {
  const faults = planFaults(1, 180_000, 3);

  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set([...FAULT_KINDS, ...CLUSTER_FAULTS]));
  for (const broker of [1, 2, 3])
    expect(faults.some(({ kind, target }) => kind.startsWith('server') && target === `kafka-${broker}`)).toBe(true);
});

it('at most one of several brokers is stopped at a time, and the others have time to catch up', () => {
  const stops = planFaults(1, 1_200_000, 3).filter((fault) => exclusionsOf(fault, []).includes('brokers'));

  expect(new Set(stops.map(({ kind }) => kind))).toEqual(
    new Set(['server killed', 'server paused', 'server restarted', 'coordinator killed']),
  );
  const rests = stops.slice(1).map(({ atMs }, index) => atMs - stops[index]!.atMs - stops[index]!.forMs);
  expect(Math.min(...rests)).toBeGreaterThanOrEqual(10_000);
});

it.each([1, 2, 3, 4])('no fault of a link overlaps with its broker being cut off, with seed %d', (seed) => {
  const faults = planFaults(seed, 1_200_000, 3);
  const { links } = setupFor(seed, 3);

  const cutOffs = faults.flatMap((fault) => (fault.kind === 'broker cut off' ? [fault] : []));
  const overlapping = cutOffs.flatMap((cutOff) => {
    const ofBroker: readonly string[] = linksTo(cutOff.target, links);
    return faults.filter(
      ({ target, atMs, forMs }) =>
        ofBroker.includes(target) && atMs <= cutOff.atMs + cutOff.forMs && cutOff.atMs <= atMs + forMs,
    );
  });
  expect(cutOffs.length).toBeGreaterThan(5);
  expect(overlapping).toEqual([]);
});

it('consecutive seeds give each service separate relays, and faults hit them like everything else', () => {
  expect([setupFor(1), setupFor(2)].map(({ separateRelaysOf }) => separateRelaysOf)).toEqual([
    'payment-service',
    'order-service',
  ]);
  for (const seed of [1, 2]) {
    const { processes, links } = setupFor(seed);
    const targets = new Set<string>(planFaults(seed, 1_200_000).map(({ target }) => target));
    expect([...targets].toSorted()).toEqual(['database', ...SERVERS, ...processes, ...links].toSorted());
    expect(processes.filter((name) => name.includes(' relay/'))).toHaveLength(2);
  }
});

it('four consecutive seeds combine each gateway with separate relays for each service', () => {
  const setups = Array.from({ length: 4 }, (_, n) => setupFor(7 + n)).map(
    ({ gateway, separateRelaysOf }) => `${gateway}, ${separateRelaysOf}`,
  );

  expect(new Set(setups).size).toBe(4);
});

it('serviceOf returns the service of a process or link', () => {
  expect(
    ['order-service/1', 'payment-service relay/2', 'order-service relay/1 → kafka', 'kafka'].map((target) =>
      serviceOf(target),
    ),
  ).toEqual(['order-service', 'payment-service', 'order-service', undefined]);
});
