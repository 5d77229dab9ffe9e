import { Button, Group, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { Icon } from '../shared/icon.js';
import { notifyFailure } from '../shared/notify.js';
import { type User, useSignOut } from './session.js';

/** Who is signed in, and the way out. */
export function UserPanel({ user }: { readonly user: User }) {
  const signOut = useSignOut();
  const [isLeaving, setIsLeaving] = useState(false);
  const leave = async () => {
    setIsLeaving(true);
    try {
      await signOut();
    } catch (error) {
      setIsLeaving(false);
      notifyFailure(error);
    }
  };
  return (
    <Stack gap="xs" p="xs">
      <Group gap="xs" wrap="nowrap" align="flex-start">
        <Icon name="user" />
        <div>
          <Text size="sm" fw={600} lh={1.3} style={{ overflowWrap: 'anywhere' }}>
            {user.name ?? user.id}
          </Text>
          <Text size="xs" c="dimmed">
            {user.roles.join(', ')}
          </Text>
        </div>
      </Group>
      <Button variant="default" size="xs" loading={isLeaving} onClick={() => void leave()}>
        Sign out
      </Button>
    </Stack>
  );
}
