import { lazy, Suspense } from 'react';
import { type ConfirmDialogProps } from './confirm-dialog-props.js';

const Confirmation = lazy(async () => ({ default: (await import('./confirmation.js')).Confirmation }));

/**
 * Asks before a change. Once it is sent, it cannot be sent again by a second click, and cannot be dismissed before its answer. Its parts are
 * loaded when somebody is asked for the first time.
 */
export function ConfirmDialog<Result>(props: ConfirmDialogProps<Result>) {
  return (
    <Suspense>
      <Confirmation {...(props as ConfirmDialogProps<unknown>)} />
    </Suspense>
  );
}
