import { type EntityManager } from 'typeorm';
import { type Audit } from '../operations/audit.js';
import { type LetterAction } from '../operations/operator.js';
import { type StoredOperation } from './stored-operation.js';

/** Writes one audit entry about an operation. Requires the lock of the audit. */
export async function auditOperation(
  tx: EntityManager,
  audit: Audit,
  action: 'create' | 'cancel' | 'end',
  operation: StoredOperation,
  { actor, reason }: LetterAction,
): Promise<void> {
  const { id, kind, filter, asOf, options, state, total, totalIsExact, done, failed, problem } = operation;
  const detail =
    action === 'create'
      ? { filter, asOf, options, total, totalIsExact }
      : { filter, total, totalIsExact, done, failed, state, problem };
  await audit.write(tx, { actor, action, box: 'operations', reason, operation: id, detail }, [{ id, kind }]);
}
