import { Injectable } from '@nestjs/common';
import { classifyDatabaseError, requestSignal, UnitOfWork, withRequestSignal } from '@twinbox/api-kit';
import { isStaleStatement } from '@twinbox/messaging/database-errors';
import { Gather } from '@twinbox/messaging/transactions';
import { type Placement, PlaceTogether } from '../../application/place-together.js';
import { type OrderDecision } from '../../domain/order.js';

const MAX_GROUP = 32;

interface Waiting extends Placement {
  readonly since: number;
  readonly signal: AbortSignal | undefined;
}

/** Group commit for new orders, which gather while a transaction is in progress. A group never waits for a lock, and a single order for nothing. */
@Injectable()
export class OrderPlacements {
  private readonly groups = new Gather<Waiting, OrderDecision | undefined>({
    maxBatch: MAX_GROUP,
    writeAll: (placements) => this.placeAll(placements),
    writeOne: async (placement) => this.checkForFailureSince(placement),
  });
  private latestFailure = { at: -Infinity, error: undefined as unknown };

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly placeTogether: PlaceTogether,
  ) {}

  /**
   * Places the order in a group. Returns undefined, with nothing written, for an order that must be placed on its own.
   * @throws what the database threw if it was unavailable, or if the outcome is unknown
   */
  async place(placement: Placement): Promise<OrderDecision | undefined> {
    return this.groups.write({ ...placement, since: performance.now(), signal: requestSignal() });
  }

  private async placeAll(group: readonly Waiting[]): Promise<(OrderDecision | undefined)[]> {
    const placements = group.filter(({ signal }) => !signal?.aborted);
    const decisions = placements.length === 0 ? [] : await this.placeWanted(placements);
    // An order that is not wanted any more is refused when it is placed on its own.
    return group.map((placement) => decisions[placements.indexOf(placement)]);
  }

  private async placeWanted(placements: readonly Waiting[]): Promise<(OrderDecision | undefined)[]> {
    // During an outage, each group would wait as long as the one before it.
    for (const placement of placements) this.checkForFailureSince(placement);
    let decided = false;
    try {
      return await withRequestSignal(undefined, () =>
        this.unitOfWork.transaction(async (tx) => {
          const decisions = await this.placeTogether.execute(tx, placements);
          // The others are then placed one by one.
          for (const { signal } of placements) signal?.throwIfAborted();
          decided = true;
          return decisions;
        }),
      );
    } catch (error) {
      // After a failed commit, the outcome is unknown. A stale statement works the next time.
      const isOutage = classifyDatabaseError(error) !== undefined && !isStaleStatement(error);
      if (decided || isOutage) this.latestFailure = { at: performance.now(), error };
      throw error;
    }
  }

  private checkForFailureSince({ since }: Waiting): undefined {
    if (this.latestFailure.at > since) throw this.latestFailure.error;
    return undefined;
  }
}
