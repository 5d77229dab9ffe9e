import { Turns } from './turns.js';

it('runs a limited number of tasks at a time, in their order, whether or not they fail', async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const tasks = [0, 1, 2, 3].map(() => Promise.withResolvers<number>());

  const results = tasks.map(({ promise }, index) =>
    turns.run(() => {
      begun.push(index);
      return promise;
    }),
  );
  await Promise.resolve();
  expect(begun).toEqual([0, 1]);
  tasks[1]?.reject(new Error('failed'));
  await expect(results[1]).rejects.toThrow('failed');
  expect(begun).toEqual([0, 1, 2]);
  for (const [index, { resolve }] of tasks.entries()) resolve(index);

  expect(await Promise.all([results[0], results[2], results[3]])).toEqual([0, 2, 3]);
  expect(await turns.run(() => Promise.resolve(4))).toBe(4);
});
