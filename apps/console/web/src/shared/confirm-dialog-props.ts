import { type ReactNode } from 'react';

/** A change that a person is asked to confirm. */
export interface ConfirmDialogProps<Result> {
  readonly title: string;
  /** What will happen, and whether it can be undone. */
  readonly children: ReactNode;
  /** What the button says, such as `Cancel the order`. */
  readonly confirm: string;
  readonly isDestructive?: boolean;
  /** Asks for a reason, which is sent with the change. */
  readonly reason?: { readonly label: string; readonly description?: string; readonly maxLength: number };
  readonly send: (reason: string, idempotencyKey: string) => Promise<Result>;
  readonly onDone?: (result: Result) => unknown;
  /** Whether an error ends the matter, because the change is not possible any more. */
  readonly isOver?: (error: unknown) => boolean;
  /** What is shown then. */
  readonly over?: ReactNode;
  readonly onClose: () => void;
}
