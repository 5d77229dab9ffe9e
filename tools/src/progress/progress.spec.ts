import { type PlannedPart, Progress } from './progress.js';

const PLAN: readonly PlannedPart[] = [
  { name: 'relay', seconds: 100 },
  { name: 'latency', seconds: 200 },
  { name: 'inbox', seconds: 50 },
];

/** A run whose clock the test moves. */
function aRun(plan = PLAN) {
  let ms = 5_000;
  const progress = new Progress(plan, () => ms);
  return { progress, pass: (seconds: number) => (ms += seconds * 1000) };
}

it('estimates a part by its planned duration until a round has finished', () => {
  const { progress, pass } = aRun();

  pass(3);
  progress.beginPart();
  progress.planRounds(5);
  progress.beginRound();
  pass(10);

  expect(progress.describe()).toBe(
    'relay (1 of 3), round 1 of 5; 0:13 elapsed, about 1:30 left in this part, 5:40 in all',
  );
});

it('estimates a part by its finished rounds', () => {
  const { progress, pass } = aRun();

  progress.beginPart();
  progress.planRounds(5);
  progress.beginRound();
  pass(30);
  progress.beginRound();
  pass(30);
  progress.beginRound();
  pass(10);

  // 5 × 30 s are 150 s, of which 70 s have passed.
  expect(progress.describe()).toBe(
    'relay (1 of 3), round 3 of 5; 1:10 elapsed, about 1:20 left in this part, 5:30 in all',
  );
});

it('expects the remaining parts to be as slow as the finished ones', () => {
  const { progress, pass } = aRun();

  progress.beginPart();
  pass(200);
  progress.beginPart();

  expect(progress.describe()).toBe('latency (2 of 3); 3:20 elapsed, about 6:40 left in this part, 8:20 in all');
});

it('keeps the duration of a part that takes as long on any machine', () => {
  const { progress, pass } = aRun([
    { name: 'starting', seconds: 20 },
    { name: 'load', seconds: 60, fixed: true },
    { name: 'settling', seconds: 30 },
  ]);

  progress.beginPart();
  pass(40);
  progress.beginPart();
  pass(60);
  progress.beginPart();

  expect(progress.describe()).toBe('settling (3 of 3); 1:40 elapsed, about 1:00 left');
});

it('describes what a round does', () => {
  const { progress } = aRun();

  progress.beginPart();
  progress.planRounds(2);
  progress.beginRound('filling the shop');

  expect(progress.describe()).toContain('relay (1 of 3), round 1 of 2: filling the shop; 0:00 elapsed');
});

it('says when a part takes longer than expected', () => {
  const { progress, pass } = aRun();

  progress.beginPart();
  pass(101);

  expect(progress.describe()).toBe(
    'relay (1 of 3); 1:41 elapsed, longer than expected in this part, about 4:10 left in all',
  );
});

it('says less about a run of one part without rounds, and shows hours', () => {
  const { progress, pass } = aRun([{ name: 'saga', seconds: 7_200 }]);

  progress.beginPart();
  progress.planRounds(1);
  progress.beginRound();
  pass(3_480);

  expect(progress.describe()).toBe('saga; 58:00 elapsed, about 1:02:00 left');
});

it('shows only the time while nothing has begun', () => {
  const { progress, pass } = aRun();

  pass(65);

  expect(progress.describe()).toBe('1:05 elapsed');
});
