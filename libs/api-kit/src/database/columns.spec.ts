import { EntitySchema } from 'typeorm';
import { Columns } from './columns.js';

interface Order {
  readonly id: string;
  readonly customerId: string;
  readonly total: number;
  readonly payment: object | null;
  readonly dueAt: Date | null;
  readonly version: number;
}

const columns = new Columns<Order>({
  id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'orders_pkey' },
  customerId: { type: 'varchar', length: 255 },
  total: { type: 'bigint' },
  payment: { type: 'jsonb', nullable: true },
  dueAt: { type: 'timestamptz', precision: 3, nullable: true },
  version: { type: 'integer' },
});

const anOrder = (overrides: Partial<Order> = {}): Order => ({
  id: '01939d3c-2f5b-7d01-b1c2-3d4e5f6a7b8c',
  customerId: 'ada',
  total: 1780,
  payment: { status: 'SUCCEEDED' },
  dueAt: new Date('2026-11-21T09:30:00.120Z'),
  version: 2,
  ...overrides,
});

describe('the columns of a table', () => {
  it('describe the table to TypeORM, with names in snake case', () => {
    const { options } = new EntitySchema<Order>({ name: 'Order', tableName: 'orders', columns: columns.entity });

    expect(options.columns).toEqual({
      id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'orders_pkey' },
      customerId: { name: 'customer_id', type: 'varchar', length: 255 },
      total: { type: 'bigint' },
      payment: { type: 'jsonb', nullable: true },
      dueAt: { name: 'due_at', type: 'timestamptz', precision: 3, nullable: true },
      version: { type: 'integer' },
    });
  });

  it('are selected as properties, whole numbers as float8', () => {
    expect(columns.select).toBe(
      'id, customer_id as "customerId", total::float8 as total, payment, due_at as "dueAt", version::float8 as version',
    );
  });

  it('are selected from a table that is joined with others', () => {
    expect(columns.pick('id', 'customerId', 'total').selectFrom('o')).toBe(
      'o.id, o.customer_id as "customerId", o.total::float8 as total',
    );
  });

  it('are inserted by name, with a placeholder each', () => {
    const { id, customerId, total } = anOrder();

    expect(columns.names).toBe('id, customer_id, total, payment, due_at, version');
    expect(columns.placeholders()).toBe('$1, $2, $3, $4, $5, $6');
    expect(columns.placeholders(3)).toBe('$3, $4, $5, $6, $7, $8');
    expect(columns.values(anOrder())).toEqual([
      id,
      customerId,
      total,
      '{"status":"SUCCEEDED"}',
      '2026-11-21T09:30:00.120Z',
      2,
    ]);
  });

  it('are unnested from one typed array each', () => {
    const saved = columns.without('customerId');
    const paid = anOrder();
    const unpaid = anOrder({ id: '01939d3c-2f5b-7d01-b1c2-3d4e5f6a7b8d', payment: null, dueAt: null });

    expect(saved.arrayPlaceholders()).toBe('$1::uuid[], $2::bigint[], $3::jsonb[], $4::timestamptz[], $5::int[]');
    expect(saved.arrays([paid, unpaid])).toEqual([
      [paid.id, unpaid.id],
      [1780, 1780],
      ['{"status":"SUCCEEDED"}', null],
      ['2026-11-21T09:30:00.120Z', null],
      [2, 2],
    ]);
  });

  it('are updated from a source with the same names', () => {
    expect(columns.pick('total', 'dueAt').assignments('s')).toBe('total = s.total, due_at = s.due_at');
  });

  it('are converted from and to JSON', () => {
    const shown = columns.pick('id', 'customerId', 'total', 'version');

    expect(shown.jsonMembers).toBe(`'id', id, 'customerId', customer_id, 'total', total, 'version', version`);
    expect(shown.recordset).toBe('id uuid, "customerId" text, total bigint, version int');
    expect(shown.properties).toBe('id, "customerId", total, version');
  });

  it('can be picked in another order', () => {
    const picked = columns.pick('version', 'id');

    expect(picked.names).toBe('version, id');
    expect(picked.values(anOrder())).toEqual([2, anOrder().id]);
  });

  it('may have a name of their own', () => {
    const renamed = new Columns<Pick<Order, 'customerId'>>({ customerId: { type: 'varchar', name: 'customer' } });

    expect(renamed.names).toBe('customer');
    expect(renamed.select).toBe('customer as "customerId"');
    expect(renamed.entity).toEqual({ customerId: { type: 'varchar', name: 'customer' } });
  });
});
