/**
 * Waits for all, and only then throws what was thrown first. For what shares a transaction: one that fails early, while
 * another is still to be sent, would have that sent behind the rollback, where it commits by itself.
 */
export async function allDone<T extends readonly unknown[]>(
  work: readonly [...{ readonly [K in keyof T]: Promise<T[K]> }],
): Promise<T>;
export async function allDone<T>(work: readonly Promise<T>[]): Promise<T[]>;
export async function allDone(work: readonly Promise<unknown>[]): Promise<unknown[]> {
  let failure: { readonly error: unknown } | undefined;
  const done = work.map(async (one) => {
    try {
      return await one;
    } catch (error) {
      // Of one transaction the later ones only say that it is over.
      failure ??= { error };
      return undefined;
    }
  });
  const results = await Promise.all(done);
  if (failure) throw failure.error;
  return results;
}
