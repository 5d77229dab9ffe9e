/** Returns why a service cannot serve requests yet; undefined once it can. */
export async function serviceNotReady(url: string): Promise<string | undefined> {
  const isReady = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
  return isReady ? undefined : `${url} does not answer with 200`;
}

/** The fields used from GET /health/messaging. The status may be 503: an old incident does not stop messages from flowing. */
interface MessagingHealth {
  readonly details: {
    readonly messaging: {
      readonly components: Readonly<Record<string, { readonly role?: string; readonly joins?: number }>>;
    };
  };
}

/**
 * Returns which of a service's relay and consumers is not running yet, as its GET /health/messaging reports; undefined once all are. The
 * headers identify an operator, which AUTH_MODE=jwt requires.
 */
export async function messagingNotReady(
  url: string,
  headers: Record<string, string> = {},
): Promise<string | undefined> {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(2_000) });
    const { components } = ((await response.json()) as MessagingHealth).details.messaging;
    const [name] =
      Object.entries(components).find(
        ([name, { role, joins }]) => role === 'disconnected' || (name.startsWith('inbox ') && !joins),
      ) ?? [];
    return name && `${name} is not running yet (${url})`;
  } catch {
    return `${url} returns no health report`;
  }
}
