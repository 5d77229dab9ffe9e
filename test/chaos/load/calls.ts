import { setTimeout as delay } from 'node:timers/promises';
import { type Random } from '../random.js';

const ANSWER_MS = 10_000;
/** How many times the same request is sent while no answer tells its outcome. */
const MAX_ATTEMPTS = 4;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly tookMs: number;
}

/** Accepted: 2xx. Refused: 4xx. Unavailable: 5xx. Unanswered: lost connection, or no answer in time. */
export type Outcome = 'accepted' | 'refused' | 'unavailable' | 'unanswered';

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as JSON; a string is sent unchanged. */
  readonly body?: object | string;
}

/** The number of answers with one status and problem code. */
export interface AnswerCount {
  readonly status: number;
  readonly code: string;
  readonly count: number;
}

/** P8: within this time a service must answer 503 when it cannot process a request. */
export const UNAVAILABLE_MS = 2000;

/** A late 503, or a request without an answer. */
export interface SlowAnswer {
  readonly url: string;
  readonly code: string;
  /** When the request was sent, in milliseconds since 1970. */
  readonly at: number;
  readonly tookMs: number;
}

/** Sends requests to the replicas of a service and counts the answers. */
export class Calls {
  /** The number of stored answers that were returned for a repeated idempotency key. */
  replayed = 0;
  /** The number of requests sent again, because an answer was missing or as a deliberate duplicate. */
  repeats = 0;
  /** 503s that took longer than {@link UNAVAILABLE_MS}, and requests without an answer after {@link ANSWER_MS}. */
  readonly slow: SlowAnswer[] = [];
  private readonly counts = new Map<string, AnswerCount>();

  get answers(): AnswerCount[] {
    return [...this.counts.values()];
  }

  /** Sends a request once. Returns undefined if it is not answered. */
  async ask(url: string, { method, path, headers, body: sent }: Request): Promise<Answer | undefined> {
    const sentAt = performance.now();
    try {
      const response = await fetch(url + path, {
        method,
        headers: { ...headers, ...(sent && { 'content-type': 'application/json' }) },
        ...(sent && { body: typeof sent === 'string' ? sent : JSON.stringify(sent) }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const body: unknown = await response.json();
      const answer = { status: response.status, body, tookMs: performance.now() - sentAt };
      this.count(answer);
      if (answer.status === 503 && answer.tookMs > UNAVAILABLE_MS)
        this.slow.push({ url, code: codeOf(body), at: Date.now() - answer.tookMs, tookMs: answer.tookMs });
      if (response.headers.get('idempotent-replayed') === 'true') this.replayed++;
      return answer;
    } catch {
      const tookMs = performance.now() - sentAt;
      if (tookMs >= ANSWER_MS) this.slow.push({ url, code: 'no answer', at: Date.now() - tookMs, tookMs });
      return undefined;
    }
  }

  /**
   * Sends the same request to the replicas in turn until it is accepted or refused. Only for requests that may be repeated. Occasionally
   * sends it to all replicas at once, or again although it was answered.
   */
  async sendRepeatedly(urls: readonly string[], random: Random, request: Request): Promise<(Answer | undefined)[]> {
    const atOnce = async () => Promise.all(urls.map(async (url) => this.ask(url, request)));
    const first = random.between(0, urls.length - 1);
    const answers = random.next() < 0.15 ? await atOnce() : [];
    for (let n = 0; answers.length < MAX_ATTEMPTS && !answers.some(isCertain); n++) {
      if (n > 0) await delay(random.between(200, 1000));
      answers.push(await this.ask(urls[(first + n) % urls.length] ?? '', request));
    }
    if (random.next() < 0.2) answers.push(...(await atOnce()));
    this.repeats += answers.length - 1;
    return answers;
  }

  private count({ status, body }: Answer): void {
    const code = status < 400 ? '' : codeOf(body);
    const name = `${status} ${code}`;
    this.counts.set(name, { status, code, count: (this.counts.get(name)?.count ?? 0) + 1 });
  }
}

const isCertain = (answer: Answer | undefined) => answer !== undefined && answer.status < 500;

/** Returns the outcome of a request that was sent several times. An unanswered one may still take effect, even after the others. */
export function outcomeOf(answers: readonly (Answer | undefined)[]): Outcome {
  if (answers.some((answer) => answer && answer.status < 300)) return 'accepted';
  if (answers.some((answer) => answer === undefined)) return 'unanswered';
  return answers.some((answer) => answer && answer.status >= 500) ? 'unavailable' : 'refused';
}

/** Returns the bodies of the accepted answers. */
export function acceptedOf<T>(answers: readonly (Answer | undefined)[]): T[] {
  return answers.flatMap((answer) => (answer && answer.status < 300 ? [answer.body as T] : []));
}

/** Returns the code of a problem document, from its type `urn:twinbox:problem:<code>`. */
function codeOf(body: unknown): string {
  const { type } = body as { type?: unknown };
  return typeof type === 'string' ? type.replace(/^urn:twinbox:problem:/, '') : 'no problem document';
}

/** Maps an id to a fixed number from 0 to 1, evenly distributed because the last digits of a UUIDv7 are random. */
export const shareOf = (id: string) => Number.parseInt(id.slice(-6), 16) / 0x1000000;
/** Like {@link shareOf}, but independent of it. */
export const otherShareOf = (id: string) => Number.parseInt(id.slice(-12, -6), 16) / 0x1000000;
