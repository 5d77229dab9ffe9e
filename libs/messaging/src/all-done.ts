/**
 * Waits for all, and only then throws what the first of them has thrown. For what shares a transaction: one that fails early, while
 * another is still to be sent, would have that sent behind the rollback, where it commits by itself.
 */
export async function allDone<T extends readonly unknown[]>(
  work: readonly [...{ readonly [K in keyof T]: Promise<T[K]> }],
): Promise<T>;
export async function allDone<T>(work: readonly Promise<T>[]): Promise<T[]>;
export async function allDone(work: readonly Promise<unknown>[]): Promise<unknown[]> {
  const ends = await Promise.allSettled(work);
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}
