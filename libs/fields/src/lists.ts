import 'reflect-metadata';
import { Type } from 'class-transformer';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsObject, ValidateNested } from 'class-validator';

/** Accepts a list of `min` to `max` objects that satisfy the rules of the class. They are read as its instances. */
export function IsListOf(entry: () => new () => object, min: number, max: number): PropertyDecorator {
  const rules = [
    Type(entry),
    IsArray(),
    ArrayMinSize(min),
    ArrayMaxSize(max),
    // ValidateNested alone accepts an empty array in the place of an object.
    IsObject({ each: true }),
    ValidateNested({ each: true }),
  ];
  return (target, key) => {
    for (const rule of rules) rule(target, key);
  };
}
