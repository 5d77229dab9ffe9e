import { ActionIcon, Group, Text, VisuallyHidden } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { Icon } from './icon.js';

interface CopyableIdProps {
  readonly id: string;
  /** What it identifies, such as `order`. */
  readonly of: string;
  /** Shows only its end. The beginnings of ids of the same time are alike. */
  readonly short?: boolean;
}

/** An id, and a button that copies it. */
export function CopyableId({ id, of, short = false }: CopyableIdProps) {
  const { copied, copy } = useClipboard({ timeout: 1500 });
  return (
    <Group gap={4} wrap="nowrap" display="inline-flex">
      <Text component="span" ff="monospace" fz="sm" title={id} style={{ overflowWrap: 'anywhere' }}>
        {short ? shortId(id) : id}
      </Text>
      <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Copy the ${of} id`} onClick={() => copy(id)}>
        <Icon name={copied ? 'check' : 'copy'} size={14} />
      </ActionIcon>
      <VisuallyHidden role="status">{copied ? 'Copied' : ''}</VisuallyHidden>
    </Group>
  );
}

/** The end of an id. */
export function shortId(id: string): string {
  return id.length > 14 ? `…${id.slice(-8)}` : id;
}
