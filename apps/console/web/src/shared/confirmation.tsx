import { Button, Group, Modal, Stack, Textarea } from '@mantine/core';
import { type SubmitEvent, useEffect, useId, useRef, useState } from 'react';
import { type ConfirmDialogProps } from './confirm-dialog-props.js';
import { Failure } from './failure.js';
import { useReturnedFocus } from './use-returned-focus.js';
import { useChange } from './use-change.js';

/** Asks before a change. Once it is sent, it cannot be sent again by a second click, and cannot be dismissed before its answer. */
export function Confirmation<Result>(props: ConfirmDialogProps<Result>) {
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
