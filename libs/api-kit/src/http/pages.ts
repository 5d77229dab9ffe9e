import { createHash } from 'node:crypto';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { isStorable, IsText, isUuid, MayBeAbsent } from '@twinbox/fields';
import { canonicalJson } from './canonical-json.js';
import { QueryInt } from './query-fields.js';
import { validationProblem } from './validation-problem.js';

/** The kinds of fields in a position. A `time` is a Date in code. */
interface Kinds {
  integer: number;
  uuid: string;
  text: string;
  time: Date;
}

type Fields = Readonly<Record<string, keyof Kinds>>;
type PositionOf<F extends Fields> = { readonly [Name in keyof F]: Kinds[F[Name]] };

const readers: { readonly [K in keyof Kinds]: (value: unknown) => Kinds[K] | undefined } = {
  integer: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
  uuid: (value) => (typeof value === 'string' && isUuid(value) ? value.toLowerCase() : undefined),
  text: (value) => (typeof value === 'string' && isStorable(value) ? value : undefined),
  time: (value) => {
    const ms = readers.integer(value);
    // The range that both PostgreSQL and Date support.
    return ms !== undefined && Math.abs(ms) <= 8e12 ? new Date(ms) : undefined;
  },
};

/**
 * Encodes and decodes the cursors of a list with keyset pagination. A cursor contains the sort fields of the last row of a page. It is
 * opaque to clients and valid only for the list that it came from: `scope` is the sort and the filters of that list, as any JSON. A cursor
 * is not a secret, because clients can read and make them.
 */
export class CursorCodec<const F extends Fields> {
  private readonly names: readonly (keyof F & string)[];

  constructor(private readonly fields: F) {
    this.names = Object.keys(fields);
  }

  /** Returns the cursor of the page after the row at this position. */
  encode(position: PositionOf<F>, scope: object): string {
    const values = this.names.map((name) => {
      const value = position[name];
      return value instanceof Date ? value.getTime() : value;
    });
    return Buffer.from(JSON.stringify([digest(scope), ...values])).toString('base64url');
  }

  /**
   * Returns the position in a cursor, or undefined without a cursor, which means the first page.
   * @throws ProblemException 400 if the cursor is invalid or belongs to another list
   */
  decode(cursor: string | undefined, scope: object): PositionOf<F> | undefined {
    if (cursor === undefined) return undefined;
    const [scopeDigest, ...values] = listIn(cursor);
    if (values.length !== this.names.length) throw cursorProblem('is not a cursor of this list');
    if (scopeDigest !== digest(scope))
      throw cursorProblem('belongs to a list with a different sort or different filters');
    const position: Record<string, unknown> = {};
    for (const [index, name] of this.names.entries()) {
      const kind = this.fields[name] as keyof Kinds;
      const value = readers[kind](values[index]);
      if (value === undefined) throw cursorProblem('is not a cursor of this list');
      position[name] = value;
    }
    return position as PositionOf<F>;
  }
}

/** The query of a paginated list. The list adds its `cursor`, because only the list knows what its ids look like. */
export class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100, default: 20, example: 20 })
  @QueryInt(1, 100)
  readonly limit: number = 20;
}

/** The query of a paginated list with opaque cursors; see {@link CursorCodec}. */
export class CursorPageQuery extends PageQuery {
  @ApiPropertyOptional({
    format: 'cursor',
    description: 'The nextCursor of the previous page, with the same sort and filters. Anything else is a 400.',
  })
  @MayBeAbsent()
  @IsText(1, 1000)
  readonly cursor?: string;
}

/** Documents the `nextCursor` of a page. */
export const ApiNextCursor = (): PropertyDecorator =>
  ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'The cursor of the next page; null on the last page.',
  });

function listIn(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function digest(scope: object): string {
  return createHash('sha256').update(canonicalJson(scope)).digest('base64url').slice(0, 8);
}

function cursorProblem(detail: string) {
  return validationProblem([{ parameter: 'cursor', detail }]);
}
