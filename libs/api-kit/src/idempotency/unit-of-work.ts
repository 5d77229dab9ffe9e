import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { requestSignal } from '../app/request-signal.js';
import { ServiceConfig } from '../app/service-config.js';
import { classifyDatabaseError } from '../database/database-errors.js';
import type { IdempotencyKey } from './idempotency-key.js';
import { IdempotencyStore, type StoredAnswer } from './idempotency-store.js';
import { commonProblems } from '../http/common-problems.js';
import { ProblemException, problemOf, type ProblemTable } from '../http/problem.js';
import { Slots, Turns } from '../database/slots.js';

/**
 * The answer to a request: the value itself, or with an idempotency key the value after a round trip through JSON, as it is stored. A
 * client gets the same JSON for both.
 */
export type Answer<T> = T | JsonOf<T>;

/** The type of a value after a round trip through JSON, as a client gets it. */
type JsonOf<T> = T extends { toJSON(): infer Json }
  ? Json
  : T extends readonly (infer Item)[]
    ? readonly JsonOf<Item>[]
    : T extends object
      ? { readonly [Name in keyof T]: JsonOf<T[Name]> }
      : T;

/**
 * The problem table for `ApiProblems` on a route that operators use on other people's resources, because their stored responses are only
 * for operators.
 */
export const storedAnswerProblems: ProblemTable<{ readonly code: 'role-required'; readonly roles: readonly string[] }> =
  {
    'role-required': {
      ...commonProblems['role-required'],
      detail: ({ roles }) => `The stored response is available only to callers with the role ${roles.join(' and ')}.`,
      example: { roles: ['operator'] },
    },
  };

/** How the first of several concurrent requests with the same key ended, for those that wait for it. */
type Outcome = { readonly stored: StoredAnswer } | { readonly error: unknown };

/**
 * Runs the changes of a request in one transaction, at most once per idempotency key. The key and the response are committed with the
 * change, and a repeated request with the same key gets the stored response.
 */
@Injectable()
export class UnitOfWork {
  private readonly keys: IdempotencyStore;
  private readonly slots: Slots;
  private readonly turns = new Turns();
  /** Requests in flight in this process. Their duplicates wait here instead of each occupying a connection of the pool. */
  private readonly inFlight = new Map<string, Promise<Outcome>>();

  constructor(
    private readonly dataSource: DataSource,
    { IDEMPOTENCY_KEY_TTL }: ServiceConfig,
  ) {
    this.keys = new IdempotencyStore(schemaOf(dataSource), IDEMPOTENCY_KEY_TTL);
    this.slots = Slots.forChanges(dataSource);
  }

  /**
   * Runs the work in a transaction and returns its result, with a key after a round trip through JSON, so that the first response and its
   * replays are alike. If there is a stored response for the key, the work does not run: the same request gets the stored response and the
   * key is marked as replayed, and a different request is rejected.
   *
   * An error of the work rolls everything back and is rethrown. Nothing is stored, so the same request may be retried.
   *
   * The response to an operator is replayed only to operators, unless `ownerOf` returns the caller, who may see their own resources as a
   * customer too.
   *
   * Transactions use only part of the pool's connections at a time, so that reads and health checks always find one. Further requests wait
   * for their turn, and get a 503 `try-again` after 1.2 s. Transactions with the same `turn` run one after another, so that those that would
   * wait for each other's lock wait for up to another 1.2 s before that, and do not each occupy a connection.
   * @throws ProblemException 422 if the key was used for a request with another body, 403 if the stored response requires a role that the
   * caller does not have
   */
  async run<T>(
    key: IdempotencyKey | undefined,
    work: (tx: EntityManager) => Promise<T>,
    ownerOf: (result: T) => string | undefined = () => undefined,
    turn?: string,
  ): Promise<Answer<T>> {
    if (!key) return this.transaction(work, turn);

    const scope = JSON.stringify([key.caller, key.method, key.path, key.key]);
    for (let first = this.inFlight.get(scope); first; first = this.inFlight.get(scope)) {
      const outcome = await first;
      if ('stored' in outcome) return replay(key, outcome.stored) as JsonOf<T>;
      // If the database is unavailable, fifty duplicates would otherwise time out one after the other.
      if (classifyDatabaseError(outcome.error)) throw outcome.error;
    }

    const running = this.runFirst(key, work, ownerOf, turn);
    this.inFlight.set(
      scope,
      running.then(
        ({ stored }) => ({ stored }),
        (error: unknown) => ({ error }),
      ),
    );
    try {
      const { stored, isNew } = await running;
      return (isNew ? stored.answer : replay(key, stored)) as JsonOf<T>;
    } finally {
      this.inFlight.delete(scope);
    }
  }

  /**
   * Runs the work in a transaction, in its turn like {@link run}, for changes of requests without a key. If the caller gives up before the
   * work is done, see {@link requestSignal}, it is rolled back.
   */
  transaction<T>(work: (tx: EntityManager) => Promise<T>, turn?: string): Promise<T> {
    const signal = requestSignal();
    const inSlot = (): Promise<T> =>
      this.slots.use(() => {
        signal?.throwIfAborted();
        return this.dataSource.transaction(async (tx) => {
          const result = await work(tx);
          signal?.throwIfAborted();
          return result;
        });
      });
    return turn === undefined ? inSlot() : this.turns.use(turn, inSlot);
  }

  private async runFirst<T>(
    key: IdempotencyKey,
    work: (tx: EntityManager) => Promise<T>,
    ownerOf: (result: T) => string | undefined,
    turn: string | undefined,
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
    }, turn);
  }
}

/**
 * Returns the stored response if the caller may still see it. A response that a user got as an operator is withheld from the same user
 * without that role.
 * @throws ProblemException 403 if a role is missing, 422 if the request is a different one
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

/** Serializes a value; undefined stays undefined, because JSON cannot express it. */
function json(value: unknown): string | undefined {
  return JSON.stringify(value);
}

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

/** Returns the service's schema, which contains the idempotency keys. */
export function schemaOf({ options }: DataSource): string {
  const { schema } = options as { schema?: string };
  if (schema === undefined) throw new Error('UnitOfWork needs a DataSource with a schema; see databaseModule.');
  return schema;
}
