import { Button, Group, Modal, Stack, Textarea } from '@mantine/core';
import { type ReactNode, type SubmitEvent, useEffect, useId, useRef, useState } from 'react';
import { Failure } from './failure.js';
import { useReturnedFocus } from './use-returned-focus.js';
import { useChange } from './use-change.js';

interface ConfirmDialogProps<Result> {
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

/** Asks before a change. Once it is sent, it cannot be sent again by a second click, and cannot be dismissed before its answer. */
export function ConfirmDialog<Result>(props: ConfirmDialogProps<Result>) {
  const { title, children, confirm, isDestructive = false, reason, send, onDone, over, onClose } = props;
  const [text, setText] = useState('');
  const id = useId();
  const isSent = useRef(false);
  useReturnedFocus();
  const change = useChange(send, async (result: Result) => {
    await onDone?.(result);
    onClose();
  });
  const isReady = !reason || text.trim() !== '';
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    // Two clicks can come before the page shows that the first one was one.
    if (!isReady || isSent.current) return;
    isSent.current = true;
    change.mutate(text.trim(), { onSettled: () => (isSent.current = false) });
  };
  const close = () => {
    if (!change.isPending) onClose();
  };
  const isOver = change.isError && (props.isOver?.(change.error) ?? false);
  const back = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isOver) back.current?.focus();
  }, [isOver]);
  return (
    <Modal opened onClose={close} title={title} aria-describedby={id} returnFocus={false}>
      <form onSubmit={submit}>
        <Stack>
          <div id={id}>{children}</div>
          {reason && (
            <Textarea
              data-autofocus
              {...reason}
              required
              autosize
              minRows={2}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
            />
          )}
          {change.isError && (isOver ? over : <Failure error={change.error} />)}
          <Group justify="flex-end">
            <Button ref={back} variant="default" disabled={change.isPending} onClick={close}>
              Back
            </Button>
            {!isOver && (
              <Button
                type="submit"
                {...(!reason && { 'data-autofocus': true })}
                {...(isDestructive && { color: 'red' })}
                loading={change.isPending}
                disabled={!isReady}
              >
                {confirm}
              </Button>
            )}
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
