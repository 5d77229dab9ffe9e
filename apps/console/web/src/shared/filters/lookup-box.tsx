import { ActionIcon, TextInput } from '@mantine/core';
import { type Ref, type SubmitEvent, useState } from 'react';
import { Icon } from '../icon.js';
import { notifyFailure } from '../notify.js';

interface LookupBoxProps {
  readonly label: string;
  readonly onLookup: (text: string) => Promise<void>;
  readonly ref?: Ref<HTMLInputElement>;
}

/** One field for every kind of id. */
export function LookupBox({ label, onLookup, ref }: LookupBoxProps) {
  const [isPending, setIsPending] = useState(false);
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = new FormData(event.currentTarget).get('id');
    if (typeof text !== 'string' || text.trim() === '' || isPending) return;
    setIsPending(true);
    try {
      await onLookup(text.trim());
    } catch (error) {
      notifyFailure(error);
    } finally {
      setIsPending(false);
    }
  };
  return (
    <form role="search" onSubmit={(event) => void submit(event)} style={{ flex: '1 1 260px', maxWidth: 420 }}>
      <TextInput
        ref={ref}
        name="id"
        aria-label={label}
        placeholder={label}
        autoComplete="off"
        spellCheck={false}
        maxLength={255}
        rightSection={
          <ActionIcon type="submit" variant="subtle" color="gray" aria-label="Search" loading={isPending}>
            <Icon name="search" />
          </ActionIcon>
        }
      />
    </form>
  );
}

/** Whether a text has the form of the ids of orders and payments. */
export function isUuid(text: string): boolean {
  return /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i.test(text);
}
