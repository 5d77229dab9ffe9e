import { Code, Text } from '@mantine/core';
import { indented } from '../edit/json-places.js';

interface PayloadProps {
  readonly name: string;
  /** Null if it is not text. */
  readonly text: string | null;
  /** The bytes as Base64, if they are not text. */
  readonly raw?: string | null;
}

/** A payload as it is, or as Base64 if it is not text. */
export function Payload({ name, text, raw = null }: PayloadProps) {
  if (text === null && raw === null)
    return (
      <Text size="sm" c="dimmed">
        There is none.
      </Text>
    );
  return (
    <>
      {text === null && <Text size="sm">It is not text in UTF-8. This is its Base64:</Text>}
      <Code block tabIndex={0} role="region" aria-label={name} mah={360} style={{ overflow: 'auto' }}>
        {text === null ? raw : indented(text)}
      </Code>
    </>
  );
}
