import { useMutation, type UseMutationResult } from '@tanstack/react-query';
import { useRef } from 'react';

/**
 * A change that a person makes. It has one idempotency key until it succeeds, so neither a second click nor another try after a lost
 * answer takes effect twice. Another input is another change, with a key of its own.
 */
export function useChange<Input, Result>(
  send: (input: Input, idempotencyKey: string) => Promise<Result>,
  onDone?: (result: Result) => unknown,
): UseMutationResult<Result, Error, Input> {
  const keys = useRef(new Map<string, string>());
  return useMutation({
    mutationFn: async (input: Input) => send(input, keyOf(keys.current, input)),
    onSuccess: async (result) => {
      keys.current.clear();
      await onDone?.(result);
    },
  });
}

function keyOf(keys: Map<string, string>, input: unknown): string {
  const text = JSON.stringify(input) ?? '';
  const key = keys.get(text) ?? randomKey();
  keys.set(text, key);
  return key;
}

/** Not `randomUUID`, which pages that are served without TLS do not have. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
