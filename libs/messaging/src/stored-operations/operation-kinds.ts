import { type OperationKind } from './operation-kind.js';

/** Returns all kinds of operations. */
export function operationKinds(): readonly OperationKind[] {
  return [];
}
