import { Slots } from './slots.js';

/** Runs tasks, all of which have to wait for a slot at first, and returns the order in which they started. */
async function orderOf(count: number, work: readonly (readonly [name: string, kind: 'foreground' | 'background'])[]) {
  const slots = new Slots(count);
  const begun: string[] = [];
  const { promise: held, resolve: free } = Promise.withResolvers<void>();
  const holders = Array.from({ length: count }, () => slots.use(() => held));
  const all = work.map(([name, kind]) =>
    slots.use(async () => {
      begun.push(name);
      await Promise.resolve();
    }, kind),
  );
  free();
  await Promise.all([...holders, ...all]);
  return begun;
}

const background = Array.from({ length: 100 }, (_, n) => [`parked ${n}`, 'background'] as const);

describe('slots', () => {
  it.each([1, 4])('P5 keep no message waiting behind many parked ones, with %d slots', async (count) => {
    const live = ['a', 'b', 'c', 'd'].map((name) => [name, 'foreground'] as const);

    const begun = await orderOf(count, [...background, ...live]);

    for (const [index, [name]] of live.entries()) expect(begun.indexOf(name)).toBeLessThanOrEqual(2 * (index + 1));
  });

  it('P6 let parked messages proceed, however many others wait', async () => {
    const live = Array.from({ length: 100 }, (_, n) => [`live ${n}`, 'foreground'] as const);

    const begun = await orderOf(2, [...live, ['parked', 'background']]);

    expect(begun.indexOf('parked')).toBeLessThanOrEqual(2);
  });

  it('serve each kind in order of arrival', async () => {
    const begun = await orderOf(1, [...background.slice(0, 5), ['a', 'foreground'], ['b', 'foreground']]);

    expect(begun.filter((name) => name.startsWith('parked'))).toEqual(background.slice(0, 5).map(([name]) => name));
    expect(begun.filter((name) => !name.startsWith('parked'))).toEqual(['a', 'b']);
  });
});
