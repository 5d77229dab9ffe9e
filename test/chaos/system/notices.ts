import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type NoticeFact } from '../judge/facts.js';

const TOLD = /Notifying the customer of (\w+)/;

/** Reads the notifications of customers, which the services write to their logs by default. */
export async function noticesIn(logs: string): Promise<NoticeFact[]> {
  const notices: NoticeFact[] = [];
  for (const file of await readdir(logs)) {
    if (!/^order-service-\d\.log$/.test(file)) continue;
    for await (const line of createInterface({ input: createReadStream(join(logs, file)) })) {
      const type = TOLD.exec(line)?.[1];
      // A killed process may have left an incomplete line.
      const orderId = /"orderId":"([^"]+)"/.exec(line)?.[1];
      if (type !== undefined && orderId !== undefined) notices.push({ type, orderId });
    }
  }
  return notices;
}

/** Counts the lines of the services' logs that contain this text. */
export async function linesIn(logs: string, text: string): Promise<number> {
  let count = 0;
  for (const file of await readdir(logs)) {
    if (!/^(order|payment)-service-\d\.log$/.test(file)) continue;
    for await (const line of createInterface({ input: createReadStream(join(logs, file)) }))
      if (line.includes(text)) count++;
  }
  return count;
}
