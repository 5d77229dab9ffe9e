import { type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { type Provider } from 'oidc-provider';

/** Whether a request is for the page on which a user signs in. */
export function isSignInPage({ url = '' }: IncomingMessage): boolean {
  return url.startsWith(PATH);
}

/** The address of the page for one sign-in. */
export const signInPage = (uid: string): string => `${PATH}${uid}`;

const PATH = '/interaction/';

/** Answers the requests of that page: shows it, and checks the password, which is the name of the user. */
export async function answerSignIn(
  provider: Provider,
  users: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Throws if the browser has not begun this sign-in.
  await provider.interactionDetails(request, response);
  if (request.method !== 'POST') return show(response, 200, users);
  const form = new URLSearchParams(await text(request));
  const user = form.get('user') ?? '';
  if (!users.includes(user) || form.get('password') !== user)
    return show(response, 401, users, 'The user or the password is wrong.');
  await provider.interactionFinished(request, response, { login: { accountId: user } });
}

/** Returns the page that asks whether to sign out. `form` is the provider's form, which has no button. */
export function signOutPage(form: string): string {
  return page(
    'Sign out of Twinbox',
    `${form}<p>Do you want to sign out?</p>
<button form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button form="op.logoutForm">Stay signed in</button>`,
  );
}

function show(response: ServerResponse, status: number, users: readonly string[], problem = ''): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(
    page(
      'Sign in to Twinbox',
      `<p>The users of this local provider are ${users.join(', ')}. The password of each is their name.</p>
${problem && `<p role="alert">${problem}</p>`}
<form method="post">
<label>User <input name="user" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
</form>`,
    ),
  );
}

const STYLE = `body { font: 1rem system-ui; max-width: 22rem; margin: 10vh auto; padding: 0 1rem; color-scheme: light dark }
label, input { display: block; width: 100%; box-sizing: border-box }
input { margin: .25rem 0 1rem; padding: .5rem; font: inherit }
button { padding: .5rem 1rem; font: inherit }`;

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${STYLE}</style>
<h1>${title}</h1>
${content}
</html>`;
}
