import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import { getMetadataStorage } from 'class-validator';
import { RequestValidation } from '../http/validation.js';
import { addFieldNames, type FieldNames } from './field-names.js';

const validation = new RequestValidation();

/** Validates like the body of an HTTP request, or with `query` like its query. */
class FieldsPipe implements PipeTransform {
  constructor(
    private readonly metatype: Type,
    private readonly type: 'body' | 'query',
  ) {}

  transform(value: unknown): Promise<unknown> {
    return validation.transform(value, { type: this.type, metatype: this.metatype });
  }
}

/** Reads fields from a message, whose class the decorated handler knows. */
type Read<Fields> = (message: never) => Fields;

/**
 * Injects the fields of a message that the class declares, validated by the class as the body of an HTTP request is:
 * `@Fields(CancelOrderDto) { reason }: CancelOrderDto`. Fields that the message has under another name are renamed by `read`, and `names`
 * has their paths in the message, for errors.
 */
export const Fields = (dto: Type, read?: Read<object>, names?: FieldNames): ParameterDecorator =>
  fieldsOf(dto, 'body', read, names);

/** A query as in a URL: texts by the names of the parameters. */
export type QueryText = Readonly<Record<string, string | undefined>>;

/**
 * Injects a query, validated by its class as the query of an HTTP request is. `read` returns the query as text, as in a URL, without the
 * parameters that are undefined. `names` has the paths of fields that the message has under another name.
 */
export const QueryFields = (dto: Type, read: Read<QueryText>, names?: FieldNames): ParameterDecorator =>
  fieldsOf(dto, 'query', read, names);

function fieldsOf(
  dto: Type,
  type: 'body' | 'query',
  read: Read<object> = (message: object) => message,
  names: FieldNames = {},
): ParameterDecorator {
  const declared = new Set(
    getMetadataStorage()
      .getTargetValidationMetadatas(dto, '', false, false)
      .map(({ propertyName }) => propertyName),
  );
  return createParamDecorator((_: unknown, context: ExecutionContext) => {
    addFieldNames(context.getArgByIndex<object>(2), names);
    const given = Object.entries(read(context.getArgByIndex<never>(0)));
    return Object.fromEntries(given.filter(([name, value]) => declared.has(name) && value !== undefined));
  })(new FieldsPipe(dto, type));
}
