import { type Operation, createPatch, type Pointer } from 'rfc6902';
import { isStorableJson } from '../message/column-text.js';

/** An edited payload or the data of a job was refused. The letter or job is unchanged. The message says what is wrong with it. */
export class EditRefusedError extends Error {
  override readonly name = 'EditRefusedError';
}

/** What the audit keeps of an edit. */
export interface EditDetail extends Readonly<Record<string, unknown>> {
  /** The JSON text, or the data of a job. What is not JSON in UTF-8 is kept as Base64; null if there was nothing. */
  readonly original: unknown;
  readonly edited: unknown;
  /** The difference as a JSON Patch (RFC 6902); null if the original was not JSON, or jsonb cannot hold the difference. */
  readonly difference: readonly Operation[] | null;
}

/** Describes the edit of a JSON text. */
export function detailOfTexts(original: Buffer | null, edited: string): EditDetail {
  const text = original?.toString() ?? '';
  const isText = original !== null && Buffer.from(text).equals(original) && !text.includes('\0');
  return {
    original: isText ? text : original && { base64: original.toString('base64') },
    edited,
    difference: isText ? differenceOf(() => [JSON.parse(text), JSON.parse(edited)]) : null,
  };
}

/** Describes the edit of JSON that jsonb can hold. */
export function detailOfJson(original: unknown, edited: unknown): EditDetail {
  return { original, edited, difference: differenceOf(() => [original, edited]) };
}

function differenceOf(jsons: () => [unknown, unknown]): Operation[] | null {
  try {
    const patch = createPatch(...jsons(), compareElements);
    return isStorableJson(JSON.stringify(patch)) ? patch : null;
  } catch {
    // Not JSON, or nested too deeply to compare.
    return null;
  }
}

/** Compares arrays element by element, because the library's search for the smallest difference takes the product of their lengths. */
function compareElements(input: unknown, output: unknown, pointer: Pointer): Operation[] | undefined {
  if (!Array.isArray(input) || !Array.isArray(output)) return undefined;
  const [before, after]: [unknown[], unknown[]] = [input, output];
  const at = (n: number | '-') => pointer.add(String(n)).toString();
  const common = Math.min(before.length, after.length);
  const inCommon = before.slice(0, common).flatMap((element, n) =>
    createPatch(element, after[n], compareElements).map((operation) => ({
      ...operation,
      path: at(n) + operation.path,
    })),
  );
  const added = after.slice(common).map((value): Operation => ({ op: 'add', path: at('-'), value }));
  const removed = before.slice(common).map((): Operation => ({ op: 'remove', path: at(common) }));
  return [...inCommon, ...added, ...removed];
}
