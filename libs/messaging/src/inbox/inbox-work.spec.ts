import { nameOf } from './inbox-work.js';

const record = { topic: 'order.events', partition: 3, offset: '17' };
const id = '01890a5d-ac96-774b-bcce-b302099a8057';

it('names a message by its type, id, key and place', () => {
  const key = Buffer.from(id);

  expect(nameOf({ ...record, key }, { id: 'm-1', type: 'OrderPlaced' })).toBe(
    `OrderPlaced m-1 of key ${id} at order.events/3/17`,
  );
});

it('names an unreadable message by its place', () => {
  expect(nameOf({ ...record, key: null })).toBe('Message at order.events/3/17');
});

it('quotes and cuts a key that could forge a log line', () => {
  expect(nameOf({ ...record, key: Buffer.from('a\nERROR b') })).toBe(
    'Message of key "a\\nERROR b" at order.events/3/17',
  );
  expect(nameOf({ ...record, key: Buffer.alloc(1000, 'x') })).toHaveLength(
    'Message of key  at order.events/3/17'.length + 255,
  );
});
