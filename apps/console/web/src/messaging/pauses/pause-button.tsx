import { Button, Text } from '@mantine/core';
import { useState } from 'react';
import { ConfirmDialog } from '../../shared/confirm-dialog.js';
import { REASON } from '../reason.js';
import { useAdmin, useRefresh } from '../use-messaging.js';

/** What can be paused. The relay has the name `relay`. */
export interface Pausable {
  readonly kind: 'consumer' | 'queue' | 'relay';
  readonly name: string;
}

/** Pauses or resumes one part of a service in all of its replicas. */
export function PauseButton({ target, isPaused }: { readonly target: Pausable; readonly isPaused: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const called = nameOf(target);
  const verb = isPaused ? 'Resume' : 'Pause';
  return (
    <>
      <Button
        size="compact-sm"
        variant={isPaused ? 'filled' : 'default'}
        aria-label={`${verb} ${called}`}
        onClick={() => setOpen(true)}
      >
        {verb}
      </Button>
      {isOpen && <PauseDialog target={target} isPaused={isPaused} onClose={() => setOpen(false)} />}
    </>
  );
}

interface PauseDialogProps {
  readonly target: Pausable;
  readonly isPaused: boolean;
  readonly onClose: () => void;
}

function PauseDialog({ target, isPaused, onClose }: PauseDialogProps) {
  const { admin } = useAdmin();
  const refresh = useRefresh();
  // The state may change while the dialog is open, for example because a colleague was faster.
  const [wasPaused] = useState(isPaused);
  const called = nameOf(target);
  const send = async (reason: string) => {
    const input = { ...target, ...(reason !== '' && { reason }) };
    return wasPaused ? admin.resumeProcessing(input) : admin.pauseProcessing(input);
  };
  return (
    <ConfirmDialog
      title={`${wasPaused ? 'Resume' : 'Pause'} ${called}?`}
      confirm={wasPaused ? 'Resume' : 'Pause'}
      {...(!wasPaused && { reason: REASON })}
      send={send}
      onDone={refresh}
      onClose={onClose}
    >
      <Text size="sm">
        {wasPaused
          ? 'Every replica continues within 2 seconds with what has been waiting.'
          : `Every replica stops within 2 seconds, and what is running is finished. ${CONSEQUENCES[target.kind]} Nothing is lost.`}
      </Text>
    </ConfirmDialog>
  );
}

const CONSEQUENCES = {
  consumer: 'New messages wait in Kafka.',
  queue: 'New jobs wait in the database.',
  relay: 'New messages wait in the outbox, so the other service receives nothing.',
} as const;

export function nameOf({ kind, name }: Pausable): string {
  return kind === 'relay' ? 'the relay' : `the ${kind === 'queue' ? 'job queue' : kind} ${name}`;
}
