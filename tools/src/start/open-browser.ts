import { spawn } from 'node:child_process';
import { platform } from 'node:os';

/** Opens the address in the user's browser. Where there is none, it says so, and nothing else happens. */
export function openBrowser(url: string): void {
  const [command, ...args] = platform() === 'darwin' ? ['open'] : platform() === 'win32' ? ['explorer'] : ['xdg-open'];
  const child = spawn(command, [...args, url], { detached: true, stdio: 'ignore' });
  child.once('error', () => console.log(`No browser could be opened (${command} is missing). Open ${url}`));
  child.unref();
}
