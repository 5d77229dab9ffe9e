import { Center, Loader, Stack, Text } from '@mantine/core';
import { type ReactNode } from 'react';
import { Icon, type IconName } from './icon.js';

/** Says that something is being loaded. */
export function Loading({ what = 'Loading' }: { readonly what?: string }) {
  return (
    <Center py="xl" role="status" aria-label={what}>
      <Loader type="dots" aria-hidden="true" />
    </Center>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly icon?: IconName;
  /** Why there is nothing, or what to do about it. */
  readonly children?: ReactNode;
}

/** Says that there is nothing to show, and why. */
export function Empty({ title, icon = 'box', children }: EmptyProps) {
  return (
    <Stack align="center" gap={6} py={48} px="md">
      <Text c="dimmed" component="span">
        <Icon name={icon} size={34} />
      </Text>
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed" ta="center" maw={440} component="div">
        {children}
      </Text>
    </Stack>
  );
}
