import { ActionIcon, Group, Kbd, Modal, Stack, Switch, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Icon } from './icon.js';
import '@mantine/core/styles/Switch.css';
import { useShortcuts, useShortcutsSetting } from './use-shortcuts.js';

interface ShortcutsHelpProps {
  /** The keys of the page, and what they do. */
  readonly keys: readonly (readonly [key: string, does: string])[];
}

/** A button that lists the keys of a page, and turns them on or off. */
export function ShortcutsHelp({ keys }: ShortcutsHelpProps) {
  const [isOpen, { open, close }] = useDisclosure();
  const [isOn, setIsOn] = useShortcutsSetting();
  useShortcuts({ '?': open });
  return (
    <>
      <ActionIcon variant="default" size="lg" aria-label="Keyboard shortcuts" onClick={open}>
        <Icon name="keyboard" />
      </ActionIcon>
      <Modal opened={isOpen} onClose={close} title="Keyboard shortcuts">
        <Stack>
          <Stack gap={8} component="dl" m={0}>
            {[...keys, ['?', 'Show this list'] as const].map(([key, does]) => (
              <Group key={key} justify="space-between">
                <Text component="dt">{does}</Text>
                <dd>
                  <Kbd>{key}</Kbd>
                </dd>
              </Group>
            ))}
          </Stack>
          <Switch
            label="Single keys do this"
            checked={isOn}
            onChange={(event) => setIsOn(event.currentTarget.checked)}
          />
        </Stack>
      </Modal>
    </>
  );
}
