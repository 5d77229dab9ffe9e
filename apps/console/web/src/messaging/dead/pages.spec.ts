import { isNearEnd, withoutItem } from './pages.js';

const aPage = (...ids: number[]) => ({ items: ids.map((id) => ({ id })) });

describe('the pages of a long list', () => {
  it('lose the item that an operator has retried, and keep the others', () => {
    const loaded = { pages: [aPage(1, 2), aPage(3)], pageParams: [undefined, 'cursor'] };

    expect(withoutItem(loaded, ({ id }) => id === 2)).toEqual({
      pages: [aPage(1), aPage(3)],
      pageParams: [undefined, 'cursor'],
    });
  });

  it('need not be loaded to remove an item', () => {
    expect(withoutItem(undefined, () => true)).toBeUndefined();
  });

  it('are continued before somebody reaches their end', () => {
    expect(isNearEnd(40, 100)).toBe(false);
    expect(isNearEnd(50, 100)).toBe(true);
    expect(isNearEnd(undefined, 0)).toBe(false);
  });
});
