import { reject, type Rejected } from '@twinbox/kernel';
import { type Order, type OrderRejection } from './order.js';
import { type Catalogue, type Line } from './product.js';

/** How much a customer may have at a time. */
export interface QuotaLimits {
  readonly drafts: number;
  readonly unpaidOrders: number;
  /** Pieces of all products in unpaid orders. */
  readonly heldPieces: number;
  /** The part of those pieces of a product that others do not hold. It applies above `shareAbove` pieces. */
  readonly heldShare: number;
  readonly shareAbove: number;
}

/** What the unpaid orders of a customer hold. */
export interface Holdings {
  readonly unpaidOrders: number;
  readonly pieces: number;
  /** The pieces of those products that an order is about. */
  readonly ofProduct: ReadonlyMap<string, number>;
}

export class Quotas {
  constructor(readonly limits: QuotaLimits) {}

  /** Rejects another draft for a customer who has this many. */
  forDraft(drafts: number): Rejected<OrderRejection> | undefined {
    const { drafts: most } = this.limits;
    return drafts < most ? undefined : reject({ code: 'too-many-drafts', most });
  }

  /** Rejects an order for the stock. Both are as of before the order. */
  forPlacing({ items }: Pick<Order, 'items'>, held: Holdings, stock: Catalogue): Rejected<OrderRejection> | undefined {
    const { unpaidOrders, heldPieces } = this.limits;
    if (held.unpaidOrders >= unpaidOrders) return reject({ code: 'too-many-unpaid-orders', most: unpaidOrders });
    const requested = piecesOf(items);
    if (held.pieces + requested > heldPieces)
      return reject({ code: 'too-many-pieces-held', most: heldPieces, held: held.pieces, requested });
    return this.forStock(items, held, stock);
  }

  forStock(items: readonly Line[], held: Holdings, stock: Catalogue): Rejected<OrderRejection> | undefined {
    const { heldShare, shareAbove } = this.limits;
    const over = items.flatMap(({ productId, quantity: requested }) => {
      const already = held.ofProduct.get(productId) ?? 0;
      const available = stock.product(productId)?.available ?? 0;
      const most = Math.max(shareAbove, Math.floor((already + available) * heldShare));
      return already + requested > most ? [{ productId, most, held: already, requested }] : [];
    });
    return over.length > 0 ? reject({ code: 'too-large-share-held', over }) : undefined;
  }
}

export function holdingsAfter(held: Holdings, items: readonly Line[]): Holdings {
  const ofProduct = new Map(held.ofProduct);
  for (const { productId, quantity } of items) ofProduct.set(productId, (ofProduct.get(productId) ?? 0) + quantity);
  return { unpaidOrders: held.unpaidOrders + 1, pieces: held.pieces + piecesOf(items), ofProduct };
}

function piecesOf(lines: readonly Line[]): number {
  return lines.reduce((sum, { quantity }) => sum + quantity, 0);
}
