import { createHash } from 'node:crypto';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { isStorable, IsText, isUuid, MayBeAbsent } from '@twinbox/fields';
import { canonicalJson } from './canonical-json.js';
import { PageQuery } from './page-query.js';
import { validationProblem } from './validation.js';

/** What a field of a position may be; `time` is a Date in code. */
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
    // What PostgreSQL and Date both can tell.
    return ms !== undefined && Math.abs(ms) <= 8e12 ? new Date(ms) : undefined;
  },
};

/**
 * Cursors of a list that is read by keyset: the fields of the last row that its order goes by. Opaque to clients, and good only
 * for the list they came from: `scope` is its sort and its filters, any JSON. No secret: a client can read and make them.
 */
export class CursorCodec<const F extends Fields> {
  private readonly names: readonly (keyof F & string)[];

  constructor(private readonly fields: F) {
    this.names = Object.keys(fields);
  }

  /** Where the page after this row begins. */
  encode(position: PositionOf<F>, scope: object): string {
    const values = this.names.map((name) => {
      const value = position[name];
      return value instanceof Date ? value.getTime() : value;
    });
    return Buffer.from(JSON.stringify([digest(scope), ...values])).toString('base64url');
  }

  /**
   * The position that a cursor tells; undefined for none, the first page.
   * @throws ProblemException (400) for what is no cursor, or one of another list
   */
  decode(cursor: string | undefined, scope: object): PositionOf<F> | undefined {
    if (cursor === undefined) return undefined;
    const [mark, ...values] = listIn(cursor);
    if (values.length !== this.names.length) throw refused('is no cursor of this list');
    if (mark !== digest(scope)) throw refused('belongs to a list with another sort or other filters');
    const position: Record<string, unknown> = {};
    for (const [index, name] of this.names.entries()) {
      const kind = this.fields[name] as keyof Kinds;
      const value = readers[kind](values[index]);
      if (value === undefined) throw refused('is no cursor of this list');
      position[name] = value;
    }
    return position as PositionOf<F>;
  }
}

/** The query of a list with opaque cursors; see {@link CursorCodec}. */
export class CursorPageQuery extends PageQuery {
  @ApiPropertyOptional({
    format: 'cursor',
    description: 'The nextCursor of the page before, with the same sort and filters. Anything else is a 400.',
  })
  @MayBeAbsent()
  @IsText(1, 1000)
  readonly cursor?: string;
}

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

function refused(detail: string) {
  return validationProblem([{ parameter: 'cursor', detail }]);
}
