import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { ServiceConfig } from './config.js';
import { databaseTrouble } from './database-trouble.js';
import type { IdempotencyKey } from './idempotency-key.js';
import { IdempotencyStore, type StoredAnswer } from './idempotency-store.js';
import { commonProblems, ProblemException, problemOf, type ProblemTable } from './problem.js';
import { WriteSlots } from './write-slots.js';

/** A value as a client gets it: what it is as JSON. */
export type Answer<T> = T extends { toJSON(): infer Json }
  ? Json
  : T extends readonly (infer Item)[]
    ? readonly Answer<Item>[]
    : T extends object
      ? { readonly [Name in keyof T]: Answer<T[Name]> }
      : T;

/** Documents, with `ApiProblems`, a route that operators use for what is not their own: a stored answer may be for them only. */
export const storedAnswerProblems: ProblemTable<{ readonly code: 'role-required'; readonly roles: readonly string[] }> =
  {
    'role-required': {
      ...commonProblems['role-required'],
      detail: ({ roles }) => `The stored answer is for callers with the role ${roles.join(' and ')}.`,
      example: { roles: ['operator'] },
    },
  };

/** How the first of several requests with one key ended, for those that wait for it. */
type Outcome = { readonly stored: StoredAnswer } | { readonly error: unknown };

/**
 * A request's changes as one transaction, which has its effect once for each idempotency key: what is committed with the change
 * is the key and the answer, and whoever comes again with the key gets that answer.
 */
@Injectable()
export class UnitOfWork {
  private readonly keys: IdempotencyStore;
  private readonly slots: WriteSlots;
  /** Requests under way in this process. Their twins wait here, and not each on a connection of the pool. */
  private readonly underWay = new Map<string, Promise<Outcome>>();

  constructor(
    private readonly dataSource: DataSource,
    { IDEMPOTENCY_KEY_TTL }: ServiceConfig,
  ) {
    this.keys = new IdempotencyStore(schemaOf(dataSource), IDEMPOTENCY_KEY_TTL);
    this.slots = WriteSlots.of(dataSource);
  }

  /**
   * Runs the work in a transaction, and gives what it returned as JSON has it. With a key that has an answer the work is not run:
   * the same request gets that answer, and its key is told; another request is refused.
   *
   * What the work throws rolls everything back, and is thrown: nothing is stored, and the same request may be tried again.
   *
   * The answer to an operator is given to operators only, unless `ownerOf` names the caller: a customer may see what is their own.
   *
   * Only part of the pool's connections serve transactions at a time, so that reads and health checks always find one. Further
   * requests wait for their turn, and get a 503 `try-again` after 1.2 s.
   * @throws ProblemException (422) when the key has been used for a request with another body, (403) when the stored answer is for
   * callers with a role that this one does not have
   */
  async run<T>(
    key: IdempotencyKey | undefined,
    work: (tx: EntityManager) => Promise<T>,
    ownerOf: (result: T) => string | undefined = () => undefined,
  ): Promise<Answer<T>> {
    if (!key) return parsed(json(await this.transaction(work))) as Answer<T>;

    const scope = JSON.stringify([key.caller, key.method, key.path, key.key]);
    for (let twin = this.underWay.get(scope); twin; twin = this.underWay.get(scope)) {
      const outcome = await twin;
      if ('stored' in outcome) return replay(key, outcome.stored) as Answer<T>;
      // Fifty twins that each wait for a database that is away would be answered one after the other.
      if (databaseTrouble(outcome.error)) throw outcome.error;
    }

    const running = this.runFirst(key, work, ownerOf);
    this.underWay.set(
      scope,
      running.then(
        ({ stored }) => ({ stored }),
        (error: unknown) => ({ error }),
      ),
    );
    try {
      const { stored, isNew } = await running;
      return (isNew ? stored.answer : replay(key, stored)) as Answer<T>;
    } finally {
      this.underWay.delete(scope);
    }
  }

  private async runFirst<T>(
    key: IdempotencyKey,
    work: (tx: EntityManager) => Promise<T>,
    ownerOf: (result: T) => string | undefined,
  ): Promise<{ stored: StoredAnswer; isNew: boolean }> {
    return this.transaction(async (tx) => {
      const stored = await this.keys.take(tx, key);
      if (stored) return { stored, isNew: false };
      const result = await work(tx);
      const answer = json(result);
      const { requestHash } = key;
      const roles = ownerOf(result) === key.caller ? [] : key.roles;
      await this.keys.keep(tx, key, answer ?? 'null', roles);
      return { stored: { requestHash, roles, answer: parsed(answer) }, isNew: true };
    });
  }

  private transaction<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.slots.use(() => this.dataSource.transaction(work));
  }
}

/**
 * Returns the stored answer to a caller who may still see it: an answer that a user got as an operator is withheld from the same user
 * without that role.
 * @throws ProblemException (403) when a role is missing, (422) when the request is another one
 */
function replay(key: IdempotencyKey, { requestHash, roles, answer }: StoredAnswer): unknown {
  const missing = (roles ?? []).filter((role) => !key.roles.includes(role));
  if (missing.length > 0) throw problemOf({ code: 'role-required', roles: missing }, storedAnswerProblems);
  if (!key.isSameRequest(requestHash)) {
    throw new ProblemException({ code: 'idempotency-key-reused', ...commonProblems['idempotency-key-reused'] });
  }
  key.replayed();
  return answer ?? undefined;
}

/** Nothing stays nothing, though JSON has no word for it. */
function json(value: unknown): string | undefined {
  return JSON.stringify(value);
}

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

/** The service's schema, in which the keys are. */
export function schemaOf({ options }: DataSource): string {
  const { schema } = options as { schema?: string };
  if (schema === undefined) throw new Error('UnitOfWork needs a DataSource with a schema, see databaseModule');
  return schema;
}
