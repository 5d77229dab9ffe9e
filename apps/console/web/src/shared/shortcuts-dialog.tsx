import { Group, Kbd, Modal, Stack, Switch, Text } from '@mantine/core';
import '@mantine/core/styles/Switch.css';
import { useReturnedFocus } from './use-returned-focus.js';
import { useShortcutsSetting } from './use-shortcuts.js';

interface ShortcutsDialogProps {
  readonly keys: readonly (readonly [key: string, does: string])[];
  readonly onClose: () => void;
}

/** The keys of a page, and a switch that turns them off. */
export function ShortcutsDialog({ keys, onClose }: ShortcutsDialogProps) {
  const [isOn, setIsOn] = useShortcutsSetting();
  useReturnedFocus();
  return (
    <Modal opened onClose={onClose} title="Keyboard shortcuts" returnFocus={false}>
      <Stack>
        <Stack gap={8} component="dl" m={0}>
          {keys.map(([key, does]) => (
            <Group key={key} justify="space-between">
              <Text component="dt">{does}</Text>
              <dd>
                <Kbd>{key}</Kbd>
              </dd>
            </Group>
          ))}
        </Stack>
        <Switch label="Single keys do this" checked={isOn} onChange={(event) => setIsOn(event.currentTarget.checked)} />
      </Stack>
    </Modal>
  );
}
