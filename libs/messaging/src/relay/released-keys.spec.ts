import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { ParkedKeys } from './parked-keys.js';
import { ReleasedKeys } from './released-keys.js';
import { Routes } from './routes.js';

const silent = { log: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Logger;
const none = () => new Routes(new Map(), silent);

const aKey = (aggregatetype: string, aggregateid: string, before?: number) => ({ aggregatetype, aggregateid, before });

describe('released keys', () => {
  it('are found in the order of their release within a type', () => {
    const released = new ReleasedKeys();
    for (const id of ['b', 'a', 'c']) released.add(aKey('order', id));

    const found = [];
    for (let key = released.next(none()); key; key = released.next(none())) {
      found.push(key.aggregateid);
      released.delete(key);
    }

    expect(found).toEqual(['b', 'a', 'c']);
    expect(released.size).toBe(0);
  });

  it('P3 are skipped while their type is blocked, but can be found to probe it', () => {
    const released = new ReleasedKeys();
    released.add(aKey('blocked', 'a'));
    const routes = none();
    routes.block('blocked', 1);
    expect(released.next(routes)).toBeUndefined();

    released.add(aKey('order', 'b'));

    expect(released.next(routes)).toEqual(aKey('order', 'b'));
    expect(released.ofType('blocked')).toEqual(aKey('blocked', 'a'));
    expect(released.ofType('other')).toBeUndefined();
  });

  it('take the bound of the latest release', () => {
    const released = new ReleasedKeys();
    released.add(aKey('order', 'a', 7));

    released.add(aKey('order', 'a'));

    expect(released.next(none())).toEqual(aKey('order', 'a'));
    released.delete(aKey('order', 'a'));
    expect(released.size).toBe(0);
  });

  it('are gone after they were cleared, or deleted although they were unknown', () => {
    const released = new ReleasedKeys();
    released.delete(aKey('order', 'a'));
    released.add(aKey('order', 'a'));

    released.clear();

    expect([released.size, released.next(none())]).toEqual([0, undefined]);
  });
});

describe('parked keys', () => {
  const keys = fc.record({
    aggregatetype: fc.constantFrom('a', 'ab', 'order'),
    aggregateid: fc.constantFrom('', 'b', 'bc', 'c', '1'),
  });
  const actions = fc.array(fc.tuple(fc.constantFrom('add', 'delete'), keys), { maxLength: 30 });

  it('P3 are exactly those that were added and not deleted since', () => {
    fc.assert(
      fc.property(actions, keys, (taken, asked) => {
        const parked = new ParkedKeys();
        for (const [action, key] of taken) parked[action](key);

        const same = taken.filter(
          ([, key]) => key.aggregatetype === asked.aggregatetype && key.aggregateid === asked.aggregateid,
        );
        expect(parked.has(asked)).toBe(same.at(-1)?.[0] === 'add');
      }),
    );
  });

  it('are none after they were cleared', () => {
    const parked = new ParkedKeys();
    parked.add(aKey('order', 'a'));

    parked.clear();

    expect(parked.has(aKey('order', 'a'))).toBe(false);
  });
});
