import { Button, Group, Modal, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { isProblem } from '@twinbox/client/admin';
import { type SubmitEvent, useRef, useState } from 'react';
import { Failure } from '../../shared/failure.js';
import { useChange } from '../../shared/use-change.js';
import { useReturnedFocus } from '../../shared/use-returned-focus.js';
import { contractProblems, type EditProblem, indented, syntaxProblem } from './json-places.js';
import { EditProblems } from './edit-problems.js';

interface EditDialogProps {
  readonly noun: string;
  readonly content: string;
  readonly send: (content: string, reason: string, idempotencyKey: string) => Promise<unknown>;
  readonly onDone: () => void;
  readonly onClose: () => void;
}

/** Edits the JSON of one item. What is wrong with it is listed, and leads to its place in the text. */
export function EditDialog({ noun, content, send, onDone, onClose }: EditDialogProps) {
  const [text, setText] = useState(() => indented(content));
  const [reason, setReason] = useState('');
  const [refused, setRefused] = useState<{ readonly text: string; readonly reason: string }>();
  const area = useRef<HTMLTextAreaElement>(null);
  const change = useChange(
    async (input: { readonly text: string; readonly reason: string }, key) => send(input.text, input.reason, key),
    () => {
      onDone();
      onClose();
    },
  );
  const problems = problemsOf(text, refused);
  const isChanged = text !== indented(content);
  const isReady = isChanged && reason.trim() !== '' && syntaxProblem(text) === undefined;
  useReturnedFocus();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!isReady || change.isPending) return;
    const onError = (error: unknown) => {
      if (isProblem(error, 'edit-invalid')) setRefused({ text, reason: error.document.reason });
    };
    change.mutate({ text, reason: reason.trim() }, { onError });
  };
  // The edit would take effect all the same.
  const close = () => {
    if (!change.isPending) onClose();
  };
  return (
    <Modal
      opened
      onClose={close}
      returnFocus={false}
      size="xl"
      title={`Edit and retry this ${noun}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm">
            The service checks the new content, and keeps the original one in the audit. The id of the {noun} stays.
          </Text>
          <Editor area={area} text={text} onText={setText} isInvalid={problems.length > 0} />
          <EditProblems problems={problems} area={area} />
          <TextInput
            label="Reason"
            description="It is kept in the audit."
            required
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          {change.isError && !isProblem(change.error, 'edit-invalid') && <Failure error={change.error} />}
          <Group justify="flex-end">
            <Button variant="default" disabled={change.isPending} onClick={close}>
              Cancel
            </Button>
            <Button type="submit" loading={change.isPending} disabled={!isReady}>
              Save and retry
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

interface EditorProps {
  readonly area: React.RefObject<HTMLTextAreaElement | null>;
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly isInvalid: boolean;
}

function Editor({ area, text, onText, isInvalid }: EditorProps) {
  return (
    <Textarea
      ref={area}
      data-autofocus
      label="Content (JSON)"
      error={isInvalid}
      errorProps={{ id: 'edit-problems' }}
      rows={16}
      spellCheck={false}
      styles={{
        input: {
          fontFamily: 'var(--mantine-font-family-monospace)',
          whiteSpace: 'pre',
          overflowX: 'auto',
          color: 'var(--mantine-color-text)',
        },
      }}
      value={text}
      onChange={(event) => onText(event.currentTarget.value)}
    />
  );
}

/** Problems of the syntax come first. What the service has refused is shown until the text is edited. */
function problemsOf(
  text: string,
  refused: { readonly text: string; readonly reason: string } | undefined,
): readonly EditProblem[] {
  const syntax = syntaxProblem(text);
  if (syntax) return [syntax];
  return refused?.text === text ? contractProblems(refused.reason, text) : [];
}
