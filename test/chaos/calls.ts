import { setTimeout as delay } from 'node:timers/promises';
import { type Random } from './random.js';

const ANSWER_MS = 10_000;
/** How often somebody sends the same request, for want of an answer that tells what became of it. */
const MOST_TRIES = 4;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly tookMs: number;
}

/** Accepted: 2xx. Refused: 4xx. Unavailable: 5xx. Unanswered: a connection lost, or no answer in time. */
export type Outcome = 'accepted' | 'refused' | 'unavailable' | 'unanswered';

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; a string goes as it is. */
  readonly body?: object | string;
}

/** Answers of one kind: by status, and by the problem's code. */
export interface AnswerCount {
  readonly status: number;
  readonly code: string;
  readonly count: number;
}

/** P8: no later than this a service answers that it cannot help at the moment. */
export const UNAVAILABLE_MS = 2000;

/** An answer of 503 that came late, or a request that was not answered at all. */
export interface SlowAnswer {
  readonly url: string;
  readonly code: string;
  /** When the request was sent, in milliseconds since 1970. */
  readonly at: number;
  readonly tookMs: number;
}

/** Asks the replicas of a service, and counts what they answer. */
export class Calls {
  /** Stored answers: the request had an idempotency key that was known. */
  replayed = 0;
  /** Requests that were sent again, for an answer was missing or to see what happens. */
  repeats = 0;
  /** Answers of 503 that took longer than {@link UNAVAILABLE_MS}, and requests without an answer after {@link ANSWER_MS}. */
  readonly slow: SlowAnswer[] = [];
  private readonly counts = new Map<string, AnswerCount>();

  get answers(): AnswerCount[] {
    return [...this.counts.values()];
  }

  /** Undefined: unanswered. */
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
   * The same request, by turns to the replicas, until it is accepted or refused; for what may be repeated. Now and then it goes
   * to all of them at once, or is sent again although it was answered.
   */
  async insist(urls: readonly string[], random: Random, request: Request): Promise<(Answer | undefined)[]> {
    const atOnce = async () => Promise.all(urls.map(async (url) => this.ask(url, request)));
    const first = random.between(0, urls.length - 1);
    const answers = random.next() < 0.15 ? await atOnce() : [];
    for (let n = 0; answers.length < MOST_TRIES && !answers.some(isCertain); n++) {
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

/** What became of a request that was sent so often. One that was not answered may still have its effect, after all others. */
export function outcomeOf(answers: readonly (Answer | undefined)[]): Outcome {
  if (answers.some((answer) => answer && answer.status < 300)) return 'accepted';
  if (answers.some((answer) => answer === undefined)) return 'unanswered';
  return answers.some((answer) => answer && answer.status >= 500) ? 'unavailable' : 'refused';
}

/** The bodies of those that were accepted. */
export function acceptedOf<T>(answers: readonly (Answer | undefined)[]): T[] {
  return answers.flatMap((answer) => (answer && answer.status < 300 ? [answer.body as T] : []));
}

/** Of a problem document: `urn:twinbox:problem:<code>`. */
function codeOf(body: unknown): string {
  const { type } = body as { type?: unknown };
  return typeof type === 'string' ? type.replace(/^urn:twinbox:problem:/, '') : 'no problem document';
}

/** A number from 0 to 1 that is always the same for an id and evenly spread: the last digits of a UUIDv7 are random. */
export const shareOf = (id: string) => Number.parseInt(id.slice(-6), 16) / 0x1000000;
/** The same, and independent of the other. */
export const otherShareOf = (id: string) => Number.parseInt(id.slice(-12, -6), 16) / 0x1000000;
