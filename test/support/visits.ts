import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** The classes that visit each value of a body or a query. Both recurse through these methods. */
const WALKERS = [
  ['class-transformer/cjs/TransformOperationExecutor.js', 'TransformOperationExecutor', 'transform'],
  ['class-validator/cjs/validation/ValidationExecutor.js', 'ValidationExecutor', 'execute'],
] as const;

/** Counts the values that class-transformer and class-validator visit from now on. */
export function countVisits(): { readonly taken: () => number; readonly stop: () => void } {
  let visits = 0;
  const restore = WALKERS.map(([file, className, name]) => {
    const { prototype } = (require(file) as Record<string, { prototype: Record<string, Method> }>)[className]!;
    const original = prototype[name]!;
    prototype[name] = function (...args) {
      visits++;
      return original.apply(this, args);
    };
    return () => void (prototype[name] = original);
  });
  return {
    taken() {
      const counted = visits;
      visits = 0;
      return counted;
    },
    stop: () => restore.forEach((each) => each()),
  };
}
