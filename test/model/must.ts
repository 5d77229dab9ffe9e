/** Throws unless the invariant holds. */
export function must(holds: boolean, invariant: string): asserts holds {
  if (!holds) throw new Error(`Invariant violated: ${invariant}`);
}
