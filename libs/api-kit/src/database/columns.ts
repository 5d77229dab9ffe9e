import type { EntitySchemaColumnOptions } from 'typeorm';
import { type NamedColumn, parameter, PARAMETER_TYPES, quoted, selected, snakeCase } from './column-sql.js';

/** A column as an `EntitySchema` describes it. Without a `name`, it has the name of its property in snake case. */
export type Column = Omit<EntitySchemaColumnOptions, 'type'> & { readonly type: keyof typeof PARAMETER_TYPES };

/** The columns of a table by property. The compiler reports a property without a column, and a column without a property. */
export type ColumnMap<Row> = { readonly [Property in keyof Row]-?: Column };

/**
 * The columns of a table, and the lists of them that SQL texts contain. All lists have the order of the map, so those of one statement
 * match each other. A new column is in all of them, except where {@link pick} names the columns one by one.
 *
 * ```ts
 * const orderColumns = new Columns<Order>({
 *   id: { type: 'uuid', primary: true },
 *   customerId: { type: 'varchar', length: 255 },
 *   total: { type: 'bigint' },
 * });
 *
 * `select ${orderColumns.select} from orders.orders`; // id, customer_id as "customerId", total::float8 as total
 * `insert into orders.orders (${orderColumns.names}) values (${orderColumns.placeholders()})`;
 * ```
 */
export class Columns<Row> {
  private readonly columns: readonly NamedColumn[];

  constructor(private readonly map: ColumnMap<Row>) {
    this.columns = Object.entries<Column>(map).map(([property, { name = snakeCase(property), type }]) => ({
      property,
      name,
      type,
    }));
  }

  /** The `columns` of an `EntitySchema`. */
  get entity(): Record<keyof Row, EntitySchemaColumnOptions> {
    const entries = this.columns.map(({ property, name }) => {
      const column = this.map[property as keyof Row];
      return [property, name === property ? column : { name, ...column }];
    });
    return Object.fromEntries(entries) as Record<keyof Row, EntitySchemaColumnOptions>;
  }

  /** The names, as an `insert` lists them: `id, customer_id`. */
  get names(): string {
    return this.join(({ name }) => name);
  }

  /** The properties, as a `select` from {@link recordset} lists them: `id, "customerId"`. */
  get properties(): string {
    return this.join(({ property }) => quoted(property));
  }

  /**
   * The list with which a `select` returns rows: `id, customer_id as "customerId", total::float8 as total`. Casts whole numbers to float8,
   * because pg returns a bigint as text. This is exact for safe integers, and a migration may widen an integer without a change here.
   */
  get select(): string {
    return this.join((column) => selected(column, column.name));
  }

  /** The list {@link select} for a table that a statement joins with others: `o.id, o.customer_id as "customerId"`. */
  selectFrom(table: string): string {
    return this.join((column) => selected(column, `${table}.${column.name}`));
  }

  /** The arguments of `json_build_object` for a row: `'id', id, 'customerId', customer_id`. */
  get jsonMembers(): string {
    return this.join(({ property, name }) => `'${property}', ${name}`);
  }

  /** The column definitions of `json_to_recordset` for an array of rows as JSON: `id uuid, "customerId" text`. */
  get recordset(): string {
    return this.join(({ property, type }) => `${quoted(property)} ${PARAMETER_TYPES[type]}`);
  }

  /** The placeholders for {@link values}: `$1, $2`. */
  placeholders(first = 1): string {
    return this.join((_, index) => `$${first + index}`);
  }

  /** The placeholders for {@link arrays}, as `unnest` takes them: `$1::uuid[], $2::text[]`. */
  arrayPlaceholders(first = 1): string {
    return this.join(({ type }, index) => `$${first + index}::${PARAMETER_TYPES[type]}[]`);
  }

  /** The `set` list of an `update` from a source with the same names: `id = s.id, customer_id = s.customer_id`. */
  assignments(source: string): string {
    return this.join(({ name }) => `${name} = ${source}.${name}`);
  }

  /** The parameters of a row, in the order of {@link placeholders}. */
  values(row: Readonly<Row>): unknown[] {
    return this.columns.map((column) => parameter(row[column.property as keyof Row], column));
  }

  /** The parameters of many rows, one array per column, in the order of {@link arrayPlaceholders}. */
  arrays(rows: readonly Readonly<Row>[]): unknown[][] {
    return this.columns.map((column) => rows.map((row) => parameter(row[column.property as keyof Row], column)));
  }

  /** Returns only these columns, in this order. */
  pick<Property extends keyof Row>(...properties: readonly Property[]): Columns<Pick<Row, Property>> {
    const entries = properties.map((property) => [property, this.map[property]] as const);
    return new Columns<Pick<Row, Property>>(Object.fromEntries(entries) as ColumnMap<Pick<Row, Property>>);
  }

  /** Returns all columns except these, so that a new column is included. */
  without<Property extends keyof Row>(...properties: readonly Property[]): Columns<Omit<Row, Property>> {
    const entries = Object.entries<Column>(this.map).filter(([property]) => !properties.includes(property as Property));
    return new Columns<Omit<Row, Property>>(Object.fromEntries(entries) as ColumnMap<Omit<Row, Property>>);
  }

  private join(text: (column: NamedColumn, index: number) => string): string {
    return this.columns.map(text).join(', ');
  }
}
