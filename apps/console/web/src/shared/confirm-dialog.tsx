import { Button, Group, Modal, Stack, Textarea } from '@mantine/core';
import { type ReactNode, type SubmitEvent, useId, useRef, useState } from 'react';
import { Failure } from './failure.js';
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
  /** Explains an error that the page knows better than the service. */
  readonly explain?: (error: unknown) => ReactNode;
  readonly onClose: () => void;
}

/** Asks before a change. Once it is sent, it cannot be sent again by a second click, and cannot be dismissed before its answer. */
export function ConfirmDialog<Result>(props: ConfirmDialogProps<Result>) {
  const { title, children, confirm, isDestructive = false, reason, send, onDone, explain, onClose } = props;
  const [text, setText] = useState('');
  const id = useId();
  const isSent = useRef(false);
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
  return (
    <Modal opened onClose={close} title={title} aria-describedby={id}>
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
          {change.isError && (explain?.(change.error) ?? <Failure error={change.error} />)}
          <Group justify="flex-end">
            <Button variant="default" disabled={change.isPending} onClick={close}>
              Back
            </Button>
            <Button
              type="submit"
              {...(!reason && { 'data-autofocus': true })}
              {...(isDestructive && { color: 'red' })}
              loading={change.isPending}
              disabled={!isReady}
            >
              {confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
