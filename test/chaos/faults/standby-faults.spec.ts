import { planFaults } from './schedule.js';
import { withStandbyFaults } from './standby-faults.js';

const planned = (seed: number, ms: number) => withStandbyFaults(planFaults(seed, ms), seed, ms);
const ofServer = (seed: number, ms: number) => planned(seed, ms).filter(({ target }) => target === 'postgres');

it('a seed determines what is added', () => {
  expect(planned(7, 600_000)).toEqual(planned(7, 600_000));
  expect(planned(7, 600_000)).not.toEqual(planned(8, 600_000));
});

it('the faults of everything except the database server stay as they are', () => {
  const others = (faults: ReturnType<typeof planned>) => faults.filter(({ target }) => target !== 'postgres');

  expect(others(planned(7, 600_000))).toEqual(others(planFaults(7, 600_000)));
  expect(others(withStandbyFaults(planFaults(7, 600_000, 3), 7, 600_000))).toEqual(others(planFaults(7, 600_000, 3)));
});

it('the fail-overs are the same with one broker and with three', () => {
  const failOvers = (brokers: number) =>
    withStandbyFaults(planFaults(7, 600_000, brokers), 7, 600_000).filter(
      ({ kind }) => kind === 'database failed over',
    );

  expect(failOvers(3)).toEqual(failOvers(1));
  expect(failOvers(3).length).toBeGreaterThanOrEqual(8);
});

it.each([1, 2, 3, 4])('half a minute has a fail-over, and three minutes have several, with seed %d', (seed) => {
  const failOvers = (ms: number) => ofServer(seed, ms).filter(({ kind }) => kind === 'database failed over').length;

  expect(failOvers(30_000)).toBeGreaterThanOrEqual(1);
  expect(failOvers(180_000)).toBeGreaterThanOrEqual(3);
});

it('two minutes kill the standby and pause it, whatever the seed', () => {
  const kinds = Array.from({ length: 50 }, (_, seed) => new Set(ofServer(seed, 120_000).map(({ kind }) => kind)));

  expect(kinds.filter((found) => !found.has('standby killed') || !found.has('standby paused'))).toEqual([]);
});

it('the database server is restarted and paused between fail-overs too, and its standby fails', () => {
  const kinds = new Set([1, 2, 3].flatMap((seed) => ofServer(seed, 600_000)).map(({ kind }) => kind));

  expect([...kinds].toSorted()).toEqual([
    'database failed over',
    'server killed',
    'server paused',
    'server restarted',
    'standby killed',
    'standby paused',
  ]);
});

it('the servers have time to recover before the next fault', () => {
  const faults = ofServer(1, 600_000);

  const rests = faults.slice(1).map(({ atMs }, index) => atMs - faults[index]!.atMs - faults[index]!.forMs);
  expect(Math.min(...rests)).toBeGreaterThanOrEqual(8000);
});
