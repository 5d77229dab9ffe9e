import { Alert, Button, Checkbox, Group, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type DryRun } from '@twinbox/client/admin';
import { type SubmitEvent, useState } from 'react';
import { Failure } from '../../shared/failure.js';
import { MessagingLayout } from '../layout.js';
import { useIsAdmin } from '../service.js';
import { useAdmin } from '../use-messaging.js';
import { ReplayDialog } from './replay-dialog.js';
import { EMPTY, type ReplayForm, replayOf } from './replay-filter.js';

/** Publishes messages again that the outbox still has. The dry run comes first, and shows what would be published. */
export function ReplayPage() {
  return (
    <MessagingLayout>
      <Replay />
    </MessagingLayout>
  );
}

function Replay() {
  const isAdmin = useIsAdmin();
  const { admin } = useAdmin();
  const [form, setForm] = useState(EMPTY);
  const [problem, setProblem] = useState<string>();
  const count = useMutation({
    mutationFn: async (replay: Exclude<ReturnType<typeof replayOf>, string>) => {
      const options = { ...replay.options, dryRun: true };
      return { replay, found: (await admin.createOperation({ ...replay, options })) as DryRun };
    },
  });
  if (!isAdmin) return <Text c="dimmed">Only admins can replay messages.</Text>;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const replay = replayOf(form);
    setProblem(typeof replay === 'string' ? replay : undefined);
    if (typeof replay !== 'string' && !count.isPending) count.mutate(replay);
  };
  return (
    <form onSubmit={submit}>
      <Stack maw={760}>
        <Text size="sm">The order of each key is kept. Consumers that have handled a message drop its copy.</Text>
        <Fields form={form} onChange={setForm} />
        {problem !== undefined && <Alert color="red" title={problem} />}
        {count.error && <Failure error={count.error} />}
        <Group>
          <Button type="submit" loading={count.isPending}>
            Count what matches
          </Button>
        </Group>
        {count.data?.found.total === 0 && <Alert color="gray" title="The outbox has no such message." />}
        {count.data && count.data.found.total > 0 && <ReplayDialog {...count.data} onClose={() => count.reset()} />}
      </Stack>
    </form>
  );
}

const FIELDS: readonly {
  readonly name: keyof ReplayForm;
  readonly label: string;
  readonly type?: string;
  readonly hint?: string;
}[] = [
  { name: 'type', label: 'Event type', hint: 'OrderPlaced' },
  { name: 'aggregateType', label: 'Aggregate type', hint: 'order' },
  { name: 'aggregateId', label: 'Aggregate id', hint: 'The id of an order' },
  { name: 'topic', label: 'To another topic', hint: 'Empty: to their own' },
  { name: 'createdAfter', label: 'Written at or after', type: 'datetime-local' },
  { name: 'createdBefore', label: 'Written before', type: 'datetime-local' },
  { name: 'fromPosition', label: 'From position', hint: '4711' },
  { name: 'toPosition', label: 'To position', hint: '4720' },
];

function Fields({ form, onChange }: { readonly form: ReplayForm; readonly onChange: (form: ReplayForm) => void }) {
  return (
    <>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        {FIELDS.map(({ name, label, type = 'text', hint }) => (
          <TextInput
            key={name}
            label={label}
            type={type}
            {...(hint !== undefined && { placeholder: hint })}
            value={String(form[name])}
            onChange={(event) => onChange({ ...form, [name]: event.currentTarget.value })}
          />
        ))}
      </SimpleGrid>
      <Checkbox
        label="Everything that the outbox still has"
        checked={form.all}
        onChange={(event) => onChange({ ...form, all: event.currentTarget.checked })}
      />
      <Checkbox
        label="Even if a consumer may no longer know that it has handled them"
        checked={form.force}
        onChange={(event) => onChange({ ...form, force: event.currentTarget.checked })}
      />
    </>
  );
}
