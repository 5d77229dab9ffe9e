/** Returns a request for an access token of a user of the local provider, to send to its token endpoint. */
export const tokenRequest = (user: string) => ({
  method: 'POST',
  // The password of each user is their name.
  headers: { authorization: `Basic ${btoa(`${user}:${user}`)}` },
  body: new URLSearchParams({ grant_type: 'client_credentials' }),
});

/** Returns the headers with which a user of the local provider calls a service. */
export async function signIn(tokenUrl: string, user: string): Promise<{ readonly authorization: string }> {
  const response = await fetch(tokenUrl, { ...tokenRequest(user), signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${tokenUrl} gives no token to ${user}: ${response.status}`);
  const { access_token: token } = (await response.json()) as { readonly access_token: string };
  return { authorization: `Bearer ${token}` };
}
