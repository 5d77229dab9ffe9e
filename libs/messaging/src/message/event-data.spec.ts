import 'reflect-metadata';
import { Transform, Type } from 'class-transformer';
import { IsInt, IsString, ValidateNested } from 'class-validator';
import { dataOf } from './event-data.js';
import { upcaster } from './topic.js';

class Item {
  @IsInt() readonly quantity!: number;
}

class Ordered {
  static readonly version: number = 3;

  @IsString() readonly id!: string;
  @ValidateNested({ each: true }) @Type(() => Item) readonly items!: readonly Item[];
}

class OrderedV1 {
  @Transform(({ value }: { value: string }) => value.toLowerCase()) @IsString() readonly name!: string;
}

/** Version 2 had the form of version 3. */
class Converted extends Ordered {
  static readonly upcasters = {
    1: upcaster(OrderedV1, ({ name, ...rest }): Ordered => ({ ...rest, id: name, items: [] })),
    3: upcaster(OrderedV1, () => ({ id: 'never, because no version follows' })),
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
    ['urn:event:Converted:0', 'from 1'],
    ['urn:event:Converted:1', 'from 1'],
    ['urn:event:other:name:1', 'from 1'],
    ['urn:event:Converted:2', 'sent'],
    ['urn:event:Converted:3', 'sent'],
    ['urn:event:Converted:4', 'sent'],
    ['https://example.com/schema/1', 'sent'],
    [undefined, 'sent'],
  ])('of schema %s is converted only if it names an older version', (dataschema, id) => {
    const { data } = dataOf({ name: 'FROM 1', id: 'sent', items: [] }, Converted, dataschema);

    expect(data).toBeInstanceOf(Converted);
    expect(data).toMatchObject({ id, items: [] });
  });

  it('is validated as the version that was sent, before it is converted', () => {
    expect(dataOf({ name: 7, id: 'sent', items: [] }, Converted, 'urn:event:Converted:1')).toHaveProperty('broken');
    expect(dataOf({ name: 'a', items: [] }, Converted, 'urn:event:Converted:2').broken).toContain(
      'id must be a string',
    );
  });

  it('keeps fields that no version declares if the upcaster does, and no prototype that was sent', () => {
    const json = JSON.parse('{"name":"a","later":1,"__proto__":{"polluted":1}}') as object;

    const { data } = dataOf(json, Converted, 'urn:event:Converted:1') as { data: Ordered & { polluted?: number } };

    expect(Object.entries(data)).toEqual(Object.entries({ id: 'a', items: [], later: 1 }));
    expect(data.polluted).toBeUndefined();
  });

  it('is rejected if an upcaster cannot convert it', () => {
    class Failing extends Ordered {
      static readonly upcasters = {
        2: upcaster(Ordered, () => {
          throw new Error('no such field');
        }),
      };
    }

    expect(dataOf({ id: 'a', items: [] }, Failing, 'urn:event:Failing:2')).toEqual({ broken: 'no such field' });
  });
});
