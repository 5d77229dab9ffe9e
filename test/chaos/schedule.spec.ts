import { castOf, FAULT_KINDS, planFaults, SERVERS, serviceOf } from './schedule.js';

it('one seed gives one schedule, another seed another', () => {
  expect(planFaults(7, 600_000)).toEqual(planFaults(7, 600_000));
  expect(planFaults(7, 600_000)).not.toEqual(planFaults(8, 600_000));
});

it('a longer run begins as a shorter one does', () => {
  const short = planFaults(7, 30_000);

  expect(planFaults(7, 60_000).slice(0, short.length)).toEqual(short);
});

it('two minutes see every kind of fault, both servers killed, and faults that meet', () => {
  const faults = planFaults(1, 120_000);

  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
  for (const server of SERVERS)
    expect(faults).toContainEqual(expect.objectContaining({ kind: 'server killed', target: server }));
  expect(faults.some(({ atMs, forMs }, index) => atMs + forMs > (faults[index + 1]?.atMs ?? Infinity))).toBe(true);
});

it('half a minute sees nearly every kind of fault, whatever the seed', () => {
  const kinds = Array.from({ length: 50 }, (_, seed) => new Set(planFaults(seed, 30_000).map(({ kind }) => kind)));

  expect(Math.min(...kinds.map(({ size }) => size))).toBeGreaterThanOrEqual(6);
});

it('a pause of a service outlasts its lease of 4 s', () => {
  const pauses = planFaults(1, 600_000).filter(({ kind }) => kind === 'service paused');

  expect(Math.min(...pauses.map(({ forMs }) => forMs))).toBeGreaterThan(4000);
});

it('a server has time to start before its next fault', () => {
  for (const server of SERVERS) {
    const ofServer = planFaults(1, 600_000).filter(({ target }) => target === server);

    const rests = ofServer.slice(1).map(({ atMs }, index) => atMs - ofServer[index]!.atMs - ofServer[index]!.forMs);
    expect(Math.min(...rests)).toBeGreaterThanOrEqual(10_000);
  }
});

it('seeds in a row see relays of their own for either service, under fire like everything else', () => {
  expect([castOf(1), castOf(2)].map(({ relaysApart }) => relaysApart)).toEqual(['payment-service', 'order-service']);
  for (const seed of [1, 2]) {
    const { processes, links } = castOf(seed);
    const targets = new Set<string>(planFaults(seed, 1_200_000).map(({ target }) => target));
    expect([...targets].toSorted()).toEqual(['database', ...SERVERS, ...processes, ...links].toSorted());
    expect(processes.filter((name) => name.includes(' relay/'))).toHaveLength(2);
  }
});

it('four seeds in a row see either gateway with relays of their own for either service', () => {
  const casts = Array.from({ length: 4 }, (_, n) => castOf(7 + n)).map(
    ({ gateway, relaysApart }) => `${gateway}, ${relaysApart}`,
  );

  expect(new Set(casts).size).toBe(4);
});

it('tells whose process or link a target is', () => {
  expect(
    ['order-service/1', 'payment-service relay/2', 'order-service relay/1 → kafka', 'kafka'].map((target) =>
      serviceOf(target),
    ),
  ).toEqual(['order-service', 'payment-service', 'order-service', undefined]);
});
