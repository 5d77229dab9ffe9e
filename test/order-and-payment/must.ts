/** Throws unless the law holds. */
export function must(holds: boolean, law: string): asserts holds {
  if (!holds) throw new Error(`Against the law: ${law}`);
}
