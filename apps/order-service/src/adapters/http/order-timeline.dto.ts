import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { actorSeenBy, ApiNextCursor, type Caller, CursorPageQuery, isOperator } from '@twinbox/api-kit';
import { type StoredStep } from '../../application/order-timeline.js';
import { ORDER_STATUSES, type OrderStatus } from '../../domain/order.js';
import { ORDER_ID } from './order.dto.js';

export class TimelineQuery extends CursorPageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100, default: 100, example: 100 })
  override readonly limit: number = 100;
}

export class StepDto implements StoredStep {
  @ApiProperty({
    type: 'integer',
    example: 100,
    description: 'The unique number of the step. Later steps of the same order have higher numbers.',
  })
  readonly position!: number;

  @ApiProperty({ example: 'OrderPlaced', description: 'What happened.' })
  readonly type!: string;

  @ApiProperty({ enum: ORDER_STATUSES, example: 'PLACED', description: 'The status after the step.' })
  readonly status!: OrderStatus;

  @ApiProperty({
    type: 'integer',
    example: 1,
    description:
      'The version after the step. A step that did not change the order has the version of the step before it.',
  })
  readonly version!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T09:30:00.000Z' })
  readonly at!: Date;

  @ApiProperty({
    example: 'customer:demo',
    description:
      'Who did it: `customer:<user>`, `operator:<user>` or `admin:<user>` (customers see `operator`), `gateway`, `provider`, `system`, …',
  })
  readonly actor!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'POST /orders',
    description: 'What caused it: a request, or the type of the received message.',
  })
  readonly cause!: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '01939d3c-2f5b-7d01-b1c2-3d4e5f6a7b8c',
    description: 'The received message that caused the step, or the message that was published for it.',
  })
  readonly messageId!: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    example: { total: 1780, currency: 'EUR' },
    description:
      'Further details, such as a reason, or a product and its quantity. Only operators see why a notification failed.',
  })
  readonly detail!: object | null;
}

export class OrderEventDto extends StepDto {
  @ApiProperty({ format: 'uuid', example: ORDER_ID })
  readonly orderId!: string;
}

export class TimelinePageDto {
  @ApiProperty({
    type: [StepDto],
    description: 'Oldest first. Orders from before timelines were introduced have only the steps since then.',
  })
  readonly items!: readonly StepDto[];

  @ApiNextCursor()
  readonly nextCursor!: string | null;
}

export function stepSeenBy(caller: Caller, step: StoredStep): StoredStep {
  const { position, type, status, version, at, cause, messageId } = step;
  const [actor, detail] = [actorSeenBy(caller, step.actor), detailSeenBy(caller, step)];
  return { position, type, status, version, at, actor, cause, messageId, detail };
}

/** Hides a mail server's answer from customers, because it names internal hosts and addresses. */
function detailSeenBy(caller: Caller, { type, detail }: StoredStep): object | null {
  if (type !== 'NotificationFailed' || isOperator(caller)) return detail;
  return { reason: 'The message could not be delivered.' };
}
