import 'reflect-metadata';
import { Type } from 'class-transformer';
import { IsInt, IsString, ValidateNested } from 'class-validator';
import { dataOf } from './event-data.js';

class Item {
  @IsInt() readonly quantity!: number;
}

class Ordered {
  static readonly version: number = 3;

  @IsString() readonly id!: string;
  @ValidateNested({ each: true }) @Type(() => Item) readonly items!: readonly Item[];
}

/** Version 1 has an upcaster, and version 2 has none. */
class Converted extends Ordered {
  static readonly upcasters = {
    1: (data: object) => ({ ...data, id: 'from 1', items: [] }),
  };
}

describe('the data of an event', () => {
  it('is an instance of the event class, as are its nested objects', () => {
    const { data } = dataOf({ id: 'a', items: [{ quantity: 1 }] }, Ordered, undefined) as { data: Ordered };

    expect(data).toBeInstanceOf(Ordered);
    expect(data.items[0]).toBeInstanceOf(Item);
  });

  it('is rejected with the path of every violation, and without its values', () => {
    const { data, broken } = dataOf({ id: 7, items: [{ quantity: 'secret' }] }, Ordered, undefined);

    expect(data).toBeUndefined();
    expect(broken).toBe('id must be a string; items.0.quantity must be an integer number');
  });

  it.each([
    ['urn:event:Converted:1', 'from 1'],
    ['urn:event:other:name:1', 'from 1'],
    ['urn:event:Converted:3', 'sent'],
    ['urn:event:Converted:4', 'sent'],
    ['https://example.com/schema/1', 'sent'],
    [undefined, 'sent'],
  ])('of schema %s is converted only if it names an older version', (dataschema, id) => {
    expect(dataOf({ id: 'sent', items: [] }, Converted, dataschema)).toEqual({ data: { id, items: [] } });
  });

  it('keeps the form of a version without an upcaster, and the contract decides', () => {
    expect(dataOf({ id: 'sent', items: [] }, Converted, 'urn:event:Converted:2')).toHaveProperty('data');
    expect(dataOf({ items: [] }, Converted, 'urn:event:Converted:2').broken).toContain('id must be a string');
  });

  it('is rejected if an upcaster cannot convert it', () => {
    class Failing extends Ordered {
      static readonly upcasters = {
        2: () => {
          throw new Error('no such field');
        },
      };
    }

    expect(dataOf({}, Failing, 'urn:event:Failing:2')).toEqual({ broken: 'no such field' });
  });
});
