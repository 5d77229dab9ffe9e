import { SCHEMA_VERSION } from './schema.js';
import { messagingTablesDown } from './schema-down.js';

it('undoes each version, the latest first', () => {
  const whole = messagingTablesDown('shipping', { from: SCHEMA_VERSION, to: 0 });

  const latestFirst = Array.from({ length: SCHEMA_VERSION }, (_, undone) => SCHEMA_VERSION - undone);
  const steps = latestFirst.map((from) => messagingTablesDown('shipping', { from, to: from - 1 }));
  expect(whole).toEqual(steps.flat());
  expect(steps).not.toContainEqual([]);
});

it.each([
  [1, 1],
  [1, 2],
  [SCHEMA_VERSION + 1, SCHEMA_VERSION],
  [1, -1],
  [2.5, 1],
  [2, 0.5],
  [Number.NaN, 0],
])('rejects the way down from version %s to %s', (from, to) => {
  expect(() => messagingTablesDown('shipping', { from, to })).toThrow(RangeError);
});
